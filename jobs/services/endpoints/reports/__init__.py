"""What Google Cloud tells of an endpoint beside Vertex AI: its requests, whoever asked, and its log."""
