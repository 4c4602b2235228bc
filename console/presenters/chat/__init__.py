"""Conversations, as their pages show them."""
