"""Training data: what a file's rows say, what is wrong with them, and which version of a file is the latest."""
