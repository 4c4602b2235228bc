"""A chat as code that asks the same."""

import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pprint import pformat
from typing import Any

from django.conf import settings
from django.utils.functional import Promise, cached_property
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from console.presenters.endpoints.samples import address, openai_client, server
from jobs.models import Endpoint
from jobs.text import markdown

FETCH = """const answer = await fetch({{url}}, {{{{
  method: "POST",
  headers: {headers},
  body: JSON.stringify({{body}}),
}}}});
if (!answer.ok) throw new Error(await answer.text());
console.log((await answer.json()).choices[0].message.content);
"""
GOOGLE = """import json

from google.cloud import aiplatform

aiplatform.init(project={project}, location={location}, api_transport="rest")
endpoint = aiplatform.Endpoint({name})

instance = {instance}
answer = endpoint.raw_predict(
    body=json.dumps({{"instances": [instance]}}).encode(),
    headers={{"Content-Type": "application/json"}},
)
answer.raise_for_status()
print(answer.json()["predictions"]["choices"][0]["message"]["content"])
"""
CURL = """curl {url} \\
{login}  -H "Content-Type: application/json" \\
  --data-binary @- <<'JSON'
{body}
JSON
"""
JAVASCRIPT_GOOGLE = """import {{ execFileSync }} from "node:child_process";

const token = execFileSync("gcloud", ["auth", "print-access-token"]).toString().trim();
""" + FETCH.format(headers='{{ "Content-Type": "application/json", Authorization: `Bearer ${{token}}` }}')
_DATA = re.compile(r"(data:image/[a-z]+;base64,[A-Za-z0-9+/]{24})([A-Za-z0-9+/=]{80,})")
JAVASCRIPT = FETCH.format(headers='{{ "Content-Type": "application/json" }}')
GOOGLE_LOCAL = """from google.auth.credentials import AnonymousCredentials
from google.auth.transport.requests import AuthorizedSession
from google.cloud import aiplatform

server = {server}
aiplatform.init(
    project={project},
    location={location},
    credentials=AnonymousCredentials(),
    api_endpoint=server,
    api_transport="rest",
)
endpoint = aiplatform.Endpoint({name})

instance = {instance}
# The request of endpoint.raw_predict(), which itself speaks https only.
answer = AuthorizedSession(endpoint.credentials).post(
    f"{{server}}/v1/{{endpoint.resource_name}}:rawPredict",
    json={{"instances": [instance]}},
)
answer.raise_for_status()
print(answer.json()["predictions"]["choices"][0]["message"]["content"])
"""
OPENAI = """
answer = client.chat.completions.create(
{arguments})
print(answer.choices[0].message.content)
"""
# How each prints the text of an answer, and how the whole message.
WHOLE_MESSAGE = {
    "((await answer.json()).choices[0].message.content)": (
        "(JSON.stringify((await answer.json()).choices[0].message, null, 2))"
    ),
    '["choices"][0]["message"]["content"])': '["choices"][0]["message"])',
    "(answer.choices[0].message.content)": "(answer.choices[0].message.to_json())",
}
# OpenAI's client knows the rest by name.
NOT_OPENAI = ("top_k",)


@dataclass(frozen=True)
class Tab:
    key: str
    label: str | Promise
    language: str
    file: str


TABS = (
    Tab("curl", "curl", "bash", "ask.sh"),
    Tab("openai", _("Python, OpenAI client"), "python", "ask.py"),
    Tab("google", _("Python, google-cloud-aiplatform"), "python", "ask_google.py"),
    Tab("javascript", "JavaScript", "javascript", "ask.mjs"),
)


@dataclass(frozen=True)
class Code:
    endpoint: Endpoint
    body: Mapping[str, Any]
    tab: Tab

    @property
    def tabs(self) -> tuple[Tab, ...]:
        return TABS

    @property
    def is_google(self) -> bool:
        return not settings.VERTEX_API_ENDPOINT

    @cached_property
    def text(self) -> str:
        writers = {
            "curl": self._curl, "openai": self._openai, "google": self._google, "javascript": self._javascript,
        }  # fmt: skip
        text = writers[self.tab.key]()
        return _print_calls(text) if "tools" in self.body else text

    @property
    def html(self) -> SafeString:
        """Images in short: the whole text is what is copied."""
        return markdown.code(_DATA.sub(r"\1…", self.text), self.tab.language)

    @property
    def is_shortened(self) -> bool:
        return _DATA.search(self.text) is not None

    @property
    def url(self) -> str:
        return f"{address(self.endpoint)}/chat/completions"

    def _curl(self) -> str:
        """The body comes by a here-document: an argument may have 128 KB at most, a picture has more."""
        login = '  -H "Authorization: Bearer $(gcloud auth print-access-token)" \\\n' if self.is_google else ""
        body = json.dumps({"model": "", **self.body}, indent=2, ensure_ascii=False)
        return CURL.format(url=shlex.quote(self.url), login=login, body=body)

    def _openai(self) -> str:
        named = {name: value for name, value in self.body.items() if name not in NOT_OPENAI}
        more = {name: self.body[name] for name in NOT_OPENAI if name in self.body}
        given = {"model": "", **named} | ({"extra_body": more} if more else {})
        arguments = "".join(f"    {name}={_literal(value)},\n" for name, value in given.items())
        return openai_client(self.endpoint, is_google=self.is_google) + OPENAI.format(arguments=arguments)

    def _google(self) -> str:
        words = {
            "project": json.dumps(settings.VERTEX_PROJECT),
            "location": json.dumps(self.endpoint.location),
            "name": json.dumps(self.endpoint.resource_name),
            "instance": _literal({"@requestFormat": "chatCompletions", **self.body}, 0),
            "server": json.dumps(server(self.endpoint)),
        }
        return (GOOGLE if self.is_google else GOOGLE_LOCAL).format(**words)

    def _javascript(self) -> str:
        body = json.dumps({"model": "", **self.body}, indent=2, ensure_ascii=False)
        template = JAVASCRIPT_GOOGLE if self.is_google else JAVASCRIPT
        return template.format(url=json.dumps(self.url), body=_indent(body, 2))


def _print_calls(text: str) -> str:
    """An answer that calls tools may have no text."""
    for said, whole in WHOLE_MESSAGE.items():
        text = text.replace(said, whole)
    return text


def _indent(text: str, spaces: int) -> str:
    """All lines but the first. Not by `textwrap.indent`, which takes U+2028 inside a text for the end of a line."""
    return text.replace("\n", "\n" + " " * spaces)


def _literal(value: Any, spaces: int = 4) -> str:
    return _indent(pformat(value, width=100, sort_dicts=False), spaces)
