"""The families of models that are tuned here and converted for llama.cpp: what differs between them."""
