"""Forms of conversations and comparisons."""
