"""What things cost, and what may be spent in a day."""
