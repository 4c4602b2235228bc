"""Sweeps, as their pages show them."""
