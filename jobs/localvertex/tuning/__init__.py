"""Tuning jobs: the queue, the training of each, and what it leaves."""
