"""What a tuning job leaves: its checkpoints, and how to go on from them."""
