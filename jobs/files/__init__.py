"""Where datasets and chat pictures are kept: a folder, Google Cloud Storage, or a store that speaks S3.

Several web and worker processes share them, so nothing else may know where they lie. `store` has what everybody calls;
FILES_URL decides which of the backends is behind it.
"""
