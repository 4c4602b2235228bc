"""Tuning jobs, from the draft to the last state that Vertex AI shows."""
