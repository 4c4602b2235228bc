"""Writes `docs/gateway.md`: every call of `jobs.vertex.sdk` to Google, found in the code, with Google's documentation.

`python -m tests.support.gateway_calls`. Calls of Vertex AI's clients are found by the names of their methods, their
paths come from the clients. What is asked without a client, and the calls of Cloud Storage, have their documentation in
`gateway_calls.toml`; a call that is missing there, or is there and not in the code, is an error.
"""

import ast
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from google.cloud.storage import Blob, Bucket, Client

from jobs.vertex.sdk.clients import CLIENTS

ROOT = Path(__file__).parents[2]
CODE = ROOT / "jobs" / "vertex" / "sdk"
DOCUMENT = ROOT / "docs" / "gateway.md"
TOLD = Path(__file__).with_suffix(".toml")
REFERENCE = "https://docs.cloud.google.com/gemini-enterprise-agent-platform/reference/rest"
BASE = "google.cloud.aiplatform_v1beta1.services"
PATH = re.compile(r"v\d+(?:beta\d+)?/")
STANDARD = {"get": "get", "post": "create", "patch": "patch", "delete": "delete"}
PLAIN = re.compile(r"v\d+(?:beta\d+)?/[\w/:]*\w")
OPERATIONS = re.compile(r"/v1beta1/\{name=projects/\*/locations/\*(/operations/\*)?\}")
# Methods of the storage client that ask Google nothing.
QUIET = frozenset({"bucket", "blob", "from_service_account_json"})


@dataclass(frozen=True, order=True)
class Call:
    method: str
    path: str
    documentation: str
    where: tuple[str, ...]


def find_calls() -> list[Call]:
    found = _find_attributes()
    return sorted(
        [*_vertex_calls(found), *_told_calls("rest", _find_paths()), *_told_calls("storage", _storage(found))]
    )


def write() -> str:
    rows = [
        f"| `{call.method} {call.path}` | {_code(call.where)} | [{_title(call)}]({call.documentation}) |"
        for call in find_calls()
    ]
    return "\n".join(
        [
            "# What the console asks Google",
            "",
            "Written by `python -m tests.support.gateway_calls` from the code of the gateway, `jobs/vertex/sdk`.",
            "",
            "| request | module | Google's documentation |",
            "| --- | --- | --- |",
            *rows,
            "",
        ]
    )


def _code(names: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _title(call: Call) -> str:
    return "/".join(call.documentation.rsplit("/", 2)[1:])


def _find_attributes() -> dict[str, set[str]]:
    """By the name of what is called, or passed on as a text: the modules that do."""
    found: dict[str, set[str]] = {}
    for module, tree in _trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and not _is_a_field(node.value, module):
                found.setdefault(node.attr, set()).add(module)
            elif isinstance(node, ast.Call) and ast.unparse(node.func) == "clients.create":
                found.setdefault(ast.literal_eval(node.args[1]), set()).add(module)
    return found


def _is_a_field(owner: ast.expr, module: str) -> bool:
    """Of a message, not a method of a client."""
    is_client = isinstance(owner, ast.Call) or (isinstance(owner, ast.Name) and "client" in owner.id)
    return not is_client and not module.startswith("storage/")


def _find_paths() -> dict[str, set[str]]:
    """Paths with a version in front, each value in them as {}."""
    found: dict[str, set[str]] = {}
    for module, tree in _trees():
        for node in ast.walk(tree):
            text = _text_of(node)
            if PATH.match(text) or "chat/completions" in text:
                found.setdefault(text, set()).add(module)
    return found


def _text_of(node: ast.AST) -> str:
    if isinstance(node, ast.Constant):
        return str(node.value) if PLAIN.fullmatch(str(node.value)) else ""
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
    return ""


def _trees() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(CODE.rglob("*.py")):
        yield path.relative_to(CODE).as_posix(), ast.parse(path.read_text(encoding="utf-8"))


def _vertex_calls(attributes: dict[str, set[str]]) -> Iterator[Call]:
    for service in CLIENTS:
        for name, (method, path) in _rpcs(service).items():
            where = {one for one in attributes.get(name, ()) if not one.startswith("storage/")}
            if where and not _is_elsewhere(service, name):
                yield Call(method.upper(), path, _documentation(method, path), tuple(sorted(where)))


def _is_elsewhere(service: str, name: str) -> bool:
    """Operations are answered by every service: told once."""
    earlier = list(CLIENTS)[: list(CLIENTS).index(service)]
    return any(name in _rpcs(one) for one in earlier)


def _rpcs(service: str) -> dict[str, tuple[str, str]]:
    module = import_module(f"{BASE}.{service}.transports.rest_base")
    base = next(getattr(module, name) for name in dir(module) if re.fullmatch(r"_Base\w+RestTransport", name))
    found = {}
    for name in dir(base):
        if name.startswith("_Base") and hasattr(getattr(base, name), "_get_http_options"):
            options: list[dict[str, Any]] = getattr(base, name)._get_http_options()
            option = next((one for one in options if OPERATIONS.match(one["uri"])), options[0])
            found[re.sub(r"(?<!^)(?=[A-Z])", "_", name.removeprefix("_Base")).lower()] = (
                option["method"],
                re.sub(r"\{[\w.]+=([^}]*)\}", r"\1", option["uri"]).lstrip("/"),
            )
    return found


def _documentation(method: str, path: str) -> str:
    """The address of a page of the REST reference is the resource and the verb."""
    version, _slash, rest = path.partition("/")
    rest, _colon, verb = rest.partition(":")
    parts = rest.split("/")
    resource = [part for part in parts if part != "*"]
    if not verb:
        verb = "list" if method == "get" and parts[-1] != "*" else STANDARD[method]
    return f"{REFERENCE}/{version}/{'.'.join(resource)}/{verb}"


def _storage(attributes: dict[str, set[str]]) -> dict[str, set[str]]:
    names = {
        name
        for kind in (Client, Bucket, Blob)
        for name in dir(kind)
        if not name.startswith("_") and callable(getattr(kind, name)) and name not in QUIET
    }
    inside = {name: {one for one in where if one.startswith("storage/")} for name, where in attributes.items()}
    return {name: where for name, where in inside.items() if where and name in names}


def _told_calls(kind: str, found: dict[str, set[str]]) -> Iterator[Call]:
    told = tomllib.loads(TOLD.read_text(encoding="utf-8"))[kind]
    if told.keys() != found.keys():
        missing, surplus = sorted(found.keys() - told.keys()), sorted(told.keys() - found.keys())
        raise LookupError(f"{TOLD.name}, {kind}: without a documentation {missing}; in no code any more {surplus}")
    for key, where in found.items():
        entry = told[key]
        yield Call(entry["method"], entry["path"], entry["documentation"], tuple(sorted(where)))


if __name__ == "__main__":
    DOCUMENT.write_text(write(), encoding="utf-8")
