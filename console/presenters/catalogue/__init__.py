"""Models and machines, as pages name and price them."""
