"""Imports of the local Vertex AI, which are calls of its own: Google Cloud has none of them."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from django.conf import settings

from jobs.vertex.errors import VertexError
from jobs.vertex.hub import Facts, ImportSpec, RemoteImport

from .cloud.rest import ask
from .outside_text import clean

SERVICE = "localvertex"
PATH = "localvertex/imports"
# A hub answers several questions first.
LOOK_SECONDS = 100.0
LONGEST, LONGEST_MESSAGE = 300, 1000
MOST_FILES = 2000
TEXTS = (
    "source", "title", "revision", "file", "licence", "licence_url", "family", "model_type", "model",
)  # fmt: skip
NUMBERS = ("size", "needed", "free", "parameters", "context_tokens")
FLAGS = ("gated", "tunable", "images", "is_local")


class Imports:
    def inspect(self, spec: ImportSpec) -> Facts:
        return _facts(_ask("POST", f"{PATH}:inspect", asdict(spec), seconds=LOOK_SECONDS))

    def start(self, id: str, spec: ImportSpec) -> RemoteImport:
        return _import(_ask("POST", PATH, {"id": id, **asdict(spec)}))

    def get(self, id: str) -> RemoteImport:
        return _import(_ask("GET", f"{PATH}/{id}"))

    def pause(self, id: str) -> RemoteImport:
        return _import(_ask("POST", f"{PATH}/{id}:pause"))

    def cancel(self, id: str) -> None:
        _ask("POST", f"{PATH}/{id}:cancel")

    def remove(self, model: str) -> int:
        return _number(_ask("POST", f"{PATH}:remove", {"model": model}).get("freed"))


def _ask(method: str, path: str, body: Mapping[str, Any] | None = None, seconds: float | None = None) -> dict[str, Any]:
    """What the local Vertex AI says of a hub is none of Google's refusals, which would be explained in other words."""
    headers = {"Authorization": f"Bearer {settings.VERTEX_IMPORT_KEY}"}
    try:
        return ask(method, SERVICE, path, body, headers=headers, seconds=seconds)
    except VertexError as error:
        sentence = str(getattr(error.__cause__, "message", "")).partition(": ")[2]
        if not sentence:
            raise
        raise type(error)(sentence, error.code, error.retry_after) from error


def _import(found: Mapping[str, Any]) -> RemoteImport:
    texts = {name: _text(found.get(name), LONGEST_MESSAGE) for name in ("state", "stage", "message", "model")}
    return RemoteImport(**texts, done=_number(found.get("done")), total=_number(found.get("total")))


def _facts(found: Mapping[str, Any]) -> Facts:
    """What publishers say of their models passes through a server of ours, and is theirs all the same."""
    template = found.get("chat_template")
    return {
        **{name: _text(found.get(name)) for name in TEXTS},
        **{name: _number(found.get(name)) for name in NUMBERS},
        **{name: found.get(name) is True for name in FLAGS},
        "chat_template": template if isinstance(template, bool) else None,
        "files": _files(found.get("files")),
        "choices": _files(found.get("choices")),
    }


def _files(found: Any) -> list[dict[str, Any]]:
    listed = found[:MOST_FILES] if isinstance(found, list) else []
    return [
        {"name": _text(one.get("name")), "size": _number(one.get("size"))} for one in listed if isinstance(one, dict)
    ]


def _text(found: Any, most: int = LONGEST) -> str:
    """No longer than that afterwards either: what a page does not take becomes several characters each."""
    return clean(str(found or "")[:most])[:most]


def _number(found: Any) -> int:
    return found if type(found) is int and 0 <= found < 2**53 else 0
