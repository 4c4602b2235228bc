"""Notifications, as their page lists them."""
