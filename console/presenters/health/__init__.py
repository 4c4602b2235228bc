"""How the console is, in words and for Prometheus."""
