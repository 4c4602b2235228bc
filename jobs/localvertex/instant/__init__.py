"""What `--instant` puts in the place of the training engine and llama.cpp: every state, tiny weights, no learning."""
