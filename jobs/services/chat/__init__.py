"""Conversations with an endpoint: what was said, in which branch, and who may see it."""
