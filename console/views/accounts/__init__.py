"""Signing in, and proving again who one is."""
