"""Pages of tuning jobs and of their drafts."""
