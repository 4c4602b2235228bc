"""What went wrong with a tuning job or a deployment, by which evidence, and what mends it."""
