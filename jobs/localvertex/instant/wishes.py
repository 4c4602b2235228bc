"""What the display name of a tuning job, a custom job or a deployed model can ask for in the middle of a test."""

FAILS = "[fails]"
WAITS = "[waits]"  # until it is cancelled
