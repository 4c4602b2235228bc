"""Several jobs at once that differ in few settings."""
