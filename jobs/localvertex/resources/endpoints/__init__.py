"""Endpoints and deployed models, as Google's API has them."""
