"""What a job that runs elsewhere tells of itself: its curves and its log."""
