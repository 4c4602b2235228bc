"""Kinds of columns: labels, addresses in Cloud Storage, and texts that are kept in no language."""
