"""The open models that Vertex AI offers, and where it tunes them."""
