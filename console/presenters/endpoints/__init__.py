"""Endpoints, as their pages show them."""
