"""A draft and its five steps, as their pages show them."""
