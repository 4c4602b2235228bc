"""HTTP: what is in front of Django, and what every request goes through."""
