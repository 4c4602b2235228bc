"""What becomes a prompt: checks of a request and of its length, the tools that it offers, and the chat template."""
