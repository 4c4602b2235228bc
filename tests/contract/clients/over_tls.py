"""A program as anybody writes it: of the local server it knows the address; the environment names the authority."""

import json
import sys
from typing import Any
from urllib.parse import urlsplit

import requests
from google.api_core.exceptions import NotFound
from google.auth.credentials import AnonymousCredentials
from google.cloud import aiplatform
from vertexai import model_garden


class Resolved(requests.adapters.HTTPAdapter):
    """As with systemd's resolver, and in browsers: a name under localhost is this machine's."""

    def __init__(self, host: str) -> None:
        self._host = host
        super().__init__()

    def init_poolmanager(self, *arguments: Any, **named: Any) -> None:
        super().init_poolmanager(*arguments, server_hostname=self._host, assert_hostname=self._host, **named)

    def send(self, request: Any, *arguments: Any, **named: Any) -> Any:
        request.headers["Host"] = urlsplit(request.url).netloc
        request.url = request.url.replace(self._host, "127.0.0.1", 1)
        return super().send(request, *arguments, **named)


aiplatform.init(project="p1", location="us-central1", api_endpoint=sys.argv[1], credentials=AnonymousCredentials())
empty = aiplatform.Endpoint.create(display_name="Empty", endpoint_id="by-the-sdk")
try:
    aiplatform.Endpoint("404").gca_resource.name  # noqa: B018
    refused = ""
except NotFound as error:
    refused = type(error).__name__
endpoint: Any = model_garden.OpenModel("local/tiny@tiny-gemma3").deploy(use_dedicated_endpoint=True)
endpoint.authorized_session = requests.Session()
host = endpoint.gca_resource.dedicated_endpoint_dns.partition(":")[0]
endpoint.authorized_session.mount(f"https://{host}", Resolved(host))
chat = {"@requestFormat": "chatCompletions", "messages": [{"role": "user", "content": "hi"}]}
reply: Any = endpoint.predict(instances=[chat], use_dedicated_endpoint=True)
answer = reply.predictions["choices"][0]["message"]["content"]
print(
    json.dumps(
        {
            "transport": empty.api_client.transport.kind,
            "name": empty.name,
            "refused": refused,
            "host": host,
            "answer": answer,
        }
    )
)
