"""What goes for several tuning jobs at once."""
