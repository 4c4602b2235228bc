"""Datasets, as their pages show them."""
