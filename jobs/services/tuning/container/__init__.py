"""Trainings in a container of the project's own, which are custom jobs of Vertex AI."""
