"""Services of Google Cloud beside Vertex AI: logs and figures."""
