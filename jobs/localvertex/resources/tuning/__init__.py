"""Tuning jobs and custom jobs, as Google's API has them."""
