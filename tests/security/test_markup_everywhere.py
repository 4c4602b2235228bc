"""Markup in every text that is not the console's own: no page, fragment, file, e-mail or frame takes it for its own."""

import csv
import io
import json
import re
import uuid
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import transaction
from django.urls import reverse
from selectolax.lexbor import LexborHTMLParser

from tests.console.test_no_500 import FIELDS
from tests.security import planting
from tests.support import factories
from tests.support.routes import patterns

pytestmark = [pytest.mark.django_db, pytest.mark.threat("T5", "T6")]
# Readiness is false here: there is no Redis.
ROUTES = {pattern.name: pattern.pattern for pattern in patterns() if not pattern.name.startswith("readyz")}
HTMX = {"HTTP_HX_REQUEST": "true"}
MARK = "planted"
TEXTS = {
    "markup": "\"'></script></title></textarea><i id=planted hx-post=/ hx-trigger=load onclick=x>{{31337*7}}",
    "attribute": "\"'` id=planted hx-get=/ onfocus=x autofocus x=<svg><style><i id=planted>&lt;i id=planted&gt;",
    "address": "javascript:planted()//\u202eplanted\u200b\ufeff%(planted)s %s {% load planted %}",
    "elsewhere": "//planted.example/x",
    "lines": "=planted\r\nX-Planted: 1\r\n\r\ndata: <i id=planted>\u2028\n\nevent: planted\n",
}
EVALUATED = str(31337 * 7)
FORMULA = ("=", "+", "-", "@", "\t", "\r")
# Attributes that a browser, htmx or Stimulus acts on, and those of them that hold an address.
ACTS = ("hx-", "data-hx-", "on", "sse-", "style", "srcdoc", "is", "slot", "data-controller", "data-action")
ADDRESSES = ("href", "src", "action", "formaction", "srcset", "ping", "poster", "xlink:href", "hx-get", "hx-post")
NAMES = ("id", "name", "for", "class", "form")
KINDS = {
    "model-garden/imports": "model-imports",
    "sessions": "session", "settings/storage": "folder", "compare/base": "endpoint",
    "turns": "turns", "pictures": "picture", "columns": "columns", "answers": "answers", "deliveries": "deliveries",
    "drafts": "draft", "sweeps": "sweep", "links": "link", "shared": "picture",
    "imports": "imports",
}  # fmt: skip
FORMS = {"chat-export": ("md", "json", "jsonl"), "compare-export": ("md", "json", "jsonl")}
QUERIES = {
    "storage-browse": ["?into=weights", "?into=defaults&uri=gs://bucket/x", "?into=weights&uri=gs://bucket/y"],
    "storage-choose": ["?into=weights&uri=gs://bucket/x/"],
    "search": ["?q=planted"], "tuning-list": ["", "?filter=planted"], "chat-list": ["", "?q=planted"],
    "tuning-compare": ["?job={jobs[0]}&job={jobs[1]}"], "tuning-cancel-many": ["?job={jobs[0]}&job={jobs[3]}"],
    "tuning-remove": ["?job={jobs[0]}&job={jobs[3]}"],
    "chat-delete-many": ["?chat={chat}&chat={bad}"], "chat-dataset-many": ["?chat={chat}"],
    "chat-export-many": ["?chat={chat}"], "tuning-compare-metrics": ["?job={jobs[0]}&job={jobs[1]}"],
    "chat-turn": ["", "?live"], "compare-answer": ["", "?live"], "model-detail": ["", "?action=deploy", "?action=code"],
    "tuning-job-logs": ["", "?q=planted"], "chat-code": ["", "?download=curl"], "tuning-status": ["?tab=details", ""],
}  # fmt: skip


@pytest.fixture
def grown(client, owner, settings):
    settings.EMAIL_HOST = "127.0.0.1"
    client.force_login(owner)
    client.raise_request_exception = False
    return planting.grow()


def addresses(name, grown):
    """Every address of a route, with the ids of what was grown: `jobs` in all of their states."""
    pattern = str(ROUTES[name])
    keys = ROUTES[name].converters
    kind = next((kind for part, kind in KINDS.items() if f"{part}/" in pattern), name.partition("-")[0])
    choices = {
        "pk": grown["jobs"] if pattern.startswith("tuning/jobs/") else [grown.get(kind, grown["chat"])],
        "form": FORMS.get(name, ()), "step": STEPS, "section": ["jobs", "setup", "endpoints", "chats"], "line": [1, 13],
        "publisher": ["google", "other"], "slug": ["gemma3", "operations"], "name": ["tour/settings-en.webp"],
        "token": [grown["token"]], "picture": [grown["picture"]], "deployed": [grown["deployed"]],
        "pending_id": [uuid.uuid4()], "number": [0, grown["added"]],
        "kind": ["search", "compare", "edits"], "file": [grown["image"]],
    }  # fmt: skip
    found: list[dict[str, Any]] = [{}]
    for key in keys:
        found = [given | {key: value} for given in found for value in choices[key]]
    paths = [reverse(name, kwargs=given) for given in found]
    return [path + query.format(**grown) for path in paths for query in QUERIES.get(name, [""])]


STEPS = ["name", "base-model", "output", "training", "deployment", "review"]


def strange(response):
    """What of an answer is not as it should be."""
    found = [f"header {name}: {value}" for name, value in response.items() if MARK in name or "\n" in value]
    if response.status_code >= 500:
        return [f"{response.status_code} {response.exc_info}"]
    content = b"".join(response) if response.streaming else response.content
    kind = response.get("Content-Type", "").partition(";")[0]
    text = content.decode("utf-8", "replace") if kind.startswith(("text/", "application/")) else ""
    if response.get("X-Content-Type-Options") != "nosniff" or "default-src 'none'" not in response.get(POLICY, ""):
        found.append("headers")
    return found + [f"{kind}: {one}" for one in READERS.get(kind, lambda text: [])(text)]


POLICY = "Content-Security-Policy"


def in_html(text):
    if MARK not in text:
        return []
    found = [one for node in LexborHTMLParser(text).root.traverse() for one in in_element(node)]
    return [*found, "evaluated"] if EVALUATED in text else found


def in_element(node):
    found = [node.tag] if MARK in node.tag else []
    if node.tag == "script" and not (node.attributes.get("src") or "").startswith("/static/"):
        found.append("script")
    for name, value in node.attributes.items():
        if MARK in name or name.startswith("on") or (name in NAMES and not is_name(value or "")):
            found.append(f"<{node.tag} {name}={value}>")
        elif name in ADDRESSES or name.startswith("data-") and "url" in name:
            found += [f"<{node.tag} {name}={value}>"] if not is_ours(value or "") else []
        elif name.startswith(ACTS) and MARK in (value or ""):
            found.append(f"<{node.tag} {name}={value}>")
    return found


def is_name(value):
    """Ours, with at most the letters of a planted text behind a prefix of ours."""
    return MARK not in value or re.fullmatch(r"[a-z]+-[a-z]+-[\w-]+", value)


def is_ours(address):
    """Of this console, or of another site by an address that was not planted; never one that does something."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return False
    if parts.scheme in {"http", "https"}:
        return MARK not in parts.netloc
    return not parts.scheme and not parts.netloc and "\\" not in address


def in_csv(text):
    rows = list(csv.reader(io.StringIO(text.removeprefix("\ufeff"))))
    widths = {len(row) for row in rows}
    cells = [cell for row in rows for cell in row if cell.startswith(FORMULA) and not is_number(cell)]
    return cells + ([f"rows of {widths}"] if len(widths) > 1 else [])


def is_number(cell):
    try:
        return float(cell) is not None
    except ValueError:
        return False


def in_json(text):
    json.loads(text)
    return []


def in_lines(text):
    return [one for line in text.split("\n") if line for one in in_json(line)]


READERS = {
    "text/html": in_html, "text/csv": in_csv, "application/json": in_json, "application/jsonl": in_lines,
    "application/x-ndjson": in_lines,
}  # fmt: skip


OFTEN = {"markup"}


@pytest.mark.parametrize(
    "text", [pytest.param(TEXTS[id], id=id, marks=[] if id in OFTEN else pytest.mark.slow) for id in TEXTS]
)
def test_no_page_and_no_file_takes_it_for_its_own(client, grown, settings, text):
    assert planting.plant(text) == []
    settings.METRICS_TOKEN = "a-token-that-nobody-guesses"
    client.defaults["HTTP_AUTHORIZATION"] = f"Bearer {settings.METRICS_TOKEN}"
    found: dict[str, Any] = {}
    fetched: dict[str, Any] = {}
    for name in ROUTES:
        for number, address in enumerate(addresses(name, grown)):
            answers = [client.get(address)]
            if number == 0:
                answers += [client.get(address, **HTMX), sent(client, address, text, grown)]
            fetched[name] = fetched.get(name, set()) | {answer.status_code for answer in answers}
            for answer in answers:
                found |= {f"{address} {one}": one for one in strange(answer)}
    assert list(found) == []
    assert {name: codes for name, codes in fetched.items() if not codes - {404, 405}} == {}


def sent(client, address, text, grown):
    """With files of that name, too. Whatever it does is undone."""
    values = dict.fromkeys(FIELDS, text) | ({"endpoint": grown["endpoint"]} if "pictures" in address else {})
    files = {name: SimpleUploadedFile(text, factories.png()) for name in ("file", "pictures", "train-file")}
    with transaction.atomic():
        answer = client.post(address, {**values, **files}, **HTMX)
        transaction.set_rollback(True)
    return answer
