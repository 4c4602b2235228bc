"""Forms of endpoints."""
