"""The program of the container that trains LoRA adapters on Vertex AI: one custom job of the local server, without the
server."""
