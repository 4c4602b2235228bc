"""Models that are imported into the local Vertex AI, and the tokens by which gated ones are read."""
