"""Functions that a model may call: as they are declared, as it calls them, and what they answered."""
