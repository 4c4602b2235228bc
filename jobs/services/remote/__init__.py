"""Rows that stand for something paid: one worker a row, one create for each."""
