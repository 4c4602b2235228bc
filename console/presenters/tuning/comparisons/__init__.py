"""Tuning jobs beside each other: those that a person chose, and those of a sweep."""
