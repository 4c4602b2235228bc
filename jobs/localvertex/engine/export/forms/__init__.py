"""What the GGUF file of each family says: its settings, its tensors, and what llama.cpp takes for granted."""
