"""The project on Google Cloud that `--as-google` plays: what may be missing in it, and who tells."""
