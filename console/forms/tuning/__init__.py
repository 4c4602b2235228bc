"""Forms of the five steps."""
