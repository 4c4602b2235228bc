"""Batch prediction: rows of files in buckets, answered one by one by a model that is served for that alone."""
