"""A trained adapter as files that others read."""
