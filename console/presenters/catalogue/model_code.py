"""The same things done by a program: deploy this model, and ask an endpoint of it. No secret is printed."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.utils.functional import Promise
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from jobs.models import DeployedModel, Endpoint
from jobs.services.catalogue import regions
from jobs.text import markdown

from . import deploy_code
from .model_families import Variant

TABS: Mapping[str, str | Promise] = {"python": _("Python"), "curl": _("curl"), "openai": _("OpenAI client")}
UNKNOWN_ENDPOINT = "ENDPOINT_ID"


@dataclass(frozen=True)
class Sample:
    title: str | Promise
    language: str
    text: str

    @property
    def html(self) -> SafeString:
        return markdown.code(self.text, self.language)


@dataclass(frozen=True)
class Code:
    """`endpoint`: the one that the samples ask; without one they have a place for its id."""

    variant: Variant
    endpoint: Endpoint | None
    tab: str

    @property
    def tabs(self) -> list[tuple[str, str | Promise]]:
        return list(TABS.items())

    @property
    def samples(self) -> list[Sample]:
        return {"python": self._python, "curl": self._curl, "openai": self._openai}[self.tab]()

    @property
    def needs_endpoint(self) -> bool:
        return self.endpoint is None and self.tab != "python"

    def _python(self) -> list[Sample]:
        return [Sample(_("Deploy with the Model Garden SDK"), "python", self.deploy_python)]

    def _curl(self) -> list[Sample]:
        return [Sample(_("Deploy"), "bash", self.deploy_curl), Sample(_("Ask the endpoint"), "bash", self.ask_curl)]

    def _openai(self) -> list[Sample]:
        return [Sample(_("Ask the endpoint"), "python", self.ask_openai)]

    @property
    def deploy_python(self) -> str:
        """By the request itself where the SDK's function has no argument for what the endpoint was deployed with."""
        local, licence = bool(settings.VERTEX_API_ENDPOINT), bool(self.variant.licence)
        arguments = {"accept_eula": True} if licence else {}
        if self._as_deployed:
            found = deploy_code.sdk_arguments(self._as_deployed, accepts_licence=licence)
            if found is None:
                return self._deploy_request
            arguments = found
        template = SDK_LOCAL if local else SDK
        return template.format(
            project=json.dumps(settings.VERTEX_PROJECT),
            location=json.dumps(self._region),
            server=json.dumps(settings.VERTEX_API_ENDPOINT),
            model=json.dumps(self.variant.name),
            arguments=_write_arguments(arguments),
        )

    @property
    def _deploy_request(self) -> str:
        template = REQUEST_LOCAL if settings.VERTEX_API_ENDPOINT else REQUEST
        body = {"destination": self._parent, **self._deploy_body}
        return template.format(address=json.dumps(self._region_address), body=json.dumps(body, indent=2))

    @property
    def deploy_curl(self) -> str:
        url = f"{self._region_address}/v1beta1/{self._parent}:deploy"
        return CURL.format(url=url, login=self._login, body=json.dumps(self._deploy_body, indent=2))

    @property
    def _deploy_body(self) -> dict[str, Any]:
        return deploy_code.body(self.variant.name, self._as_deployed, accepts_licence=bool(self.variant.licence))

    @property
    def _as_deployed(self) -> DeployedModel | None:
        return deploy_code.find_deployment(self.endpoint, self.variant.name)

    @property
    def _region(self) -> str:
        """Of the endpoint, whose name says it."""
        found = regions.region_of(self.endpoint.resource_name) if self.endpoint else ""
        return found or regions.default_serving_region()

    @property
    def ask_curl(self) -> str:
        body = {"messages": [{"role": "user", "content": "Hello!"}], "max_tokens": 256}
        url = f"{self._ask_address}/chat/completions"
        return CURL.format(url=url, login=self._login, body=json.dumps(body, indent=2))

    @property
    def ask_openai(self) -> str:
        template = OPENAI_LOCAL if settings.VERTEX_API_ENDPOINT else OPENAI
        return template.format(address=json.dumps(self._ask_address))

    @property
    def _parent(self) -> str:
        return f"projects/{settings.VERTEX_PROJECT}/locations/{self._region}"

    @property
    def _region_address(self) -> str:
        return settings.VERTEX_API_ENDPOINT or f"https://{self._region}-aiplatform.googleapis.com"

    @property
    def _ask_address(self) -> str:
        """A dedicated endpoint answers on its own host only."""
        own = self.endpoint.dedicated_dns if self.endpoint and not settings.VERTEX_API_ENDPOINT else ""
        name = self.endpoint.resource_name if self.endpoint else f"{self._parent}/endpoints/{UNKNOWN_ENDPOINT}"
        return f"{f'https://{own}' if own else self._region_address}/v1beta1/{name}"

    @property
    def _login(self) -> str:
        return "" if settings.VERTEX_API_ENDPOINT else CURL_LOGIN


def _write_arguments(arguments: Mapping[str, Any]) -> str:
    """One on each line when there are several."""
    written = [f"{name}={value!r}" for name, value in arguments.items()]
    return "".join(written) if len(written) < 2 else "\n" + "".join(f"    {one},\n" for one in written)


SDK = """import vertexai
from vertexai import model_garden

vertexai.init(project={project}, location={location})

model = model_garden.OpenModel({model})
endpoint = model.deploy({arguments})
"""
SDK_LOCAL = """import vertexai
from google.auth.credentials import AnonymousCredentials
from vertexai import model_garden

vertexai.init(
    project={project},
    location={location},
    api_endpoint={server},
    api_transport="rest",
    credentials=AnonymousCredentials(),
)

model = model_garden.OpenModel({model})
endpoint = model.deploy({arguments})
"""
REQUEST = """from google.cloud import aiplatform_v1beta1

client = aiplatform_v1beta1.ModelGardenServiceClient(client_options={{"api_endpoint": {address}}}, transport="rest")
request = aiplatform_v1beta1.DeployRequest.from_json('''{body}''')
operation = client.deploy(request)
print(operation.result().endpoint)
"""
REQUEST_LOCAL = """from google.auth.credentials import AnonymousCredentials
from google.cloud import aiplatform_v1beta1

client = aiplatform_v1beta1.ModelGardenServiceClient(
    client_options={{"api_endpoint": {address}}}, transport="rest", credentials=AnonymousCredentials()
)
request = aiplatform_v1beta1.DeployRequest.from_json('''{body}''')
operation = client.deploy(request)
print(operation.result().endpoint)
"""
CURL_LOGIN = """ \\
  -H "Authorization: Bearer $(gcloud auth print-access-token)\""""
CURL = """curl {url}{login} \\
  -H "Content-Type: application/json" \\
  -d '{body}'
"""
ASK = """
answer = client.chat.completions.create(
    model="",
    messages=[{{"role": "user", "content": "Hello!"}}],
    max_tokens=256,
)
print(answer.choices[0].message.content)
"""
OPENAI_LOCAL = f"""from openai import OpenAI

client = OpenAI(base_url={{address}}, api_key="local")
{ASK}"""
OPENAI = f"""import google.auth
import google.auth.transport.requests
from openai import OpenAI

credentials, _ = google.auth.default(scopes=["https://www.googleapis.com/auth/cloud-platform"])
credentials.refresh(google.auth.transport.requests.Request())

client = OpenAI(base_url={{address}}, api_key=credentials.token)
{ASK}"""
