"""Deployed models that answer: llama.cpp as a child process, and the requests to it."""
