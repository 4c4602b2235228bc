"""Comparisons, as their pages show them."""
