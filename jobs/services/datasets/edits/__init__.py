"""New versions of a dataset out of its own rows: edited, left out, compared."""
