"""Requests and answers that Google documents or publishes, each with its source, sent to any server that speaks
Vertex AI: `python -m jobs.localvertex.conformance --endpoint URL`."""
