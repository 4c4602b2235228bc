"""Several models that are asked the same: their answers side by side, and the votes on them."""
