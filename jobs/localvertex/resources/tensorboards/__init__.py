"""Tensorboards: those that clients make and write to, and the one behind each tuning job, which is only read."""
