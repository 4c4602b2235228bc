"""What belongs to tuning jobs and endpoints beside their rows: the pause of the queue, sweeps, settings, downloads,
reports; and what all long work of a worker has in common."""
