"""What belongs to tuning jobs beside their rows: the pause of the queue, sweeps, settings, downloads."""
