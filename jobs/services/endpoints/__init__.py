"""Endpoints and the models that are deployed on them, which cost money as long as they serve."""
