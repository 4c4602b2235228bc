"""A program as anybody writes it: of the local server it knows the address; the environment names the authority."""

import json
import socket
import sys
from typing import Any

from google.api_core.exceptions import NotFound
from google.auth.credentials import AnonymousCredentials
from google.cloud import aiplatform
from vertexai import model_garden

ANY = socket.getaddrinfo


def resolve(host, *arguments, **named):
    """As systemd's resolver and browsers do: every name under localhost is this machine's."""
    return ANY("127.0.0.1" if str(host).endswith(".localhost") else host, *arguments, **named)


socket.getaddrinfo = resolve
aiplatform.init(project="p1", location="us-central1", api_endpoint=sys.argv[1], credentials=AnonymousCredentials())
empty = aiplatform.Endpoint.create(display_name="Empty", endpoint_id="by-the-sdk")
try:
    aiplatform.Endpoint("404").gca_resource.name  # noqa: B018
    refused = ""
except NotFound as error:
    refused = type(error).__name__
endpoint = model_garden.OpenModel("local/tiny@tiny-gemma3").deploy(use_dedicated_endpoint=True)
chat = {"@requestFormat": "chatCompletions", "messages": [{"role": "user", "content": "hi"}]}
reply: Any = endpoint.predict(instances=[chat], use_dedicated_endpoint=True)
answer = reply.predictions["choices"][0]["message"]["content"]
print(
    json.dumps({"transport": empty.api_client.transport.kind, "name": empty.name, "refused": refused, "answer": answer})
)
