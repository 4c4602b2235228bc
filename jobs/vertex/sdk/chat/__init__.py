"""Questions to an endpoint, and answers as they are written."""
