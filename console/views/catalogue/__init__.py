"""Model Garden, and weights that are in no catalogue."""
