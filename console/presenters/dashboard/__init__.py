"""What the dashboard sums up."""
