"""How a program asks an endpoint: the same question by curl, OpenAI's client and Google's. No secret is printed."""

import json
import shlex
from dataclasses import dataclass

from django.conf import settings
from django.utils.functional import Promise
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from jobs.models import Endpoint
from jobs.text import markdown

QUESTION = {"messages": [{"role": "user", "content": "Hello!"}], "max_tokens": 256}


@dataclass(frozen=True)
class Sample:
    title: str | Promise
    language: str
    text: str

    @property
    def html(self) -> SafeString:
        return SafeString(markdown.code(self.text, self.language))


def samples(endpoint: Endpoint) -> list[Sample]:
    is_google = settings.VERTEX_API_ENDPOINT == ""
    return [
        Sample("curl", "bash", curl(endpoint, is_google=is_google)),
        Sample(_("Python, OpenAI client"), "python", openai(endpoint, is_google=is_google)),
        Sample("Python, google-cloud-aiplatform", "python", google(endpoint) if is_google else local(endpoint)),
    ]


def server(endpoint: Endpoint) -> str:
    if settings.VERTEX_API_ENDPOINT:
        return str(settings.VERTEX_API_ENDPOINT)
    return f"https://{endpoint.dedicated_dns or f'{endpoint.location}-aiplatform.googleapis.com'}"


def address(endpoint: Endpoint) -> str:
    return f"{server(endpoint)}/v1beta1/{endpoint.resource_name}"


def curl(endpoint: Endpoint, *, is_google: bool) -> str:
    login = '  -H "Authorization: Bearer $(gcloud auth print-access-token)" \\\n' if is_google else ""
    url = shlex.quote(f"{address(endpoint)}/chat/completions")
    return f"curl {url} \\\n{login}  -H 'Content-Type: application/json' \\\n  -d '{json.dumps(QUESTION)}'"


def openai(endpoint: Endpoint, *, is_google: bool) -> str:
    return openai_client(endpoint, is_google=is_google) + OPENAI_CALL


def openai_client(endpoint: Endpoint, *, is_google: bool) -> str:
    text = OPENAI_GOOGLE if is_google else OPENAI
    return text.format(address=address(endpoint))


def google(endpoint: Endpoint) -> str:
    dedicated = ", use_dedicated_endpoint=True" if endpoint.dedicated_dns else ""
    words = {"project": settings.VERTEX_PROJECT, "location": endpoint.location, "name": endpoint.resource_name}
    return AIPLATFORM.format(**words, dedicated=dedicated)


def local(endpoint: Endpoint) -> str:
    return GAPIC.format(server=server(endpoint), name=endpoint.resource_name)


OPENAI_CALL = """
answer = client.chat.completions.create(
    model="",
    messages=[{"role": "user", "content": "Hello!"}],
    max_tokens=256,
)
print(answer.choices[0].message.content)"""
OPENAI = """from openai import OpenAI

client = OpenAI(base_url="{address}", api_key="none")
"""
OPENAI_GOOGLE = """import google.auth
import google.auth.transport.requests
from openai import OpenAI

credentials, _ = google.auth.default(scopes=["https://www.googleapis.com/auth/cloud-platform"])
credentials.refresh(google.auth.transport.requests.Request())

client = OpenAI(base_url="{address}", api_key=credentials.token)
"""
AIPLATFORM = """from google.cloud import aiplatform

aiplatform.init(project="{project}", location="{location}")
endpoint = aiplatform.Endpoint("{name}")
answer = endpoint.predict(instances=[{{"prompt": "Hello!", "max_tokens": 256}}]{dedicated})
print(answer.predictions[0])"""
GAPIC = """from google.api_core.client_options import ClientOptions
from google.auth.credentials import AnonymousCredentials
from google.cloud import aiplatform_v1beta1

client = aiplatform_v1beta1.PredictionServiceClient(
    transport="rest",
    credentials=AnonymousCredentials(),
    client_options=ClientOptions(api_endpoint="{server}"),
)
answer = client.predict(
    endpoint="{name}",
    instances=[{{"prompt": "Hello!", "max_tokens": 256}}],
)
print(answer.predictions[0])"""
