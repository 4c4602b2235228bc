"""What one search over everything finds."""
