"""Drafts and tuning jobs, as their pages show them."""
