"""What a model of random weights is made to say: the same for the same request, and that it says nothing."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]
SAID = "The local Vertex AI runs with --instant: these weights are random and nothing was learned."
QUOTED_CHARACTERS = 80
DEEPEST = 8
WORD = re.compile(r"\s*(?:\w+|[^\w\s]+)")
FREE: Json = {"type": "object", "properties": {"said": {"type": "string"}}}
_FILLED: Json = {"string": SAID, "integer": 0, "number": 0, "boolean": False, "null": None}


@dataclass(frozen=True)
class Answer:
    """In words, which are its tokens; with a call of a tool, they are the call's arguments."""

    words: list[str]
    finish_reason: str
    prompt_tokens: int
    tool: str = ""

    @property
    def usage(self) -> Json:
        made = len(self.words)
        return {
            "completion_tokens": made,
            "prompt_tokens": self.prompt_tokens,
            "total_tokens": made + self.prompt_tokens,
            "prompt_tokens_details": {"cached_tokens": 0},
        }


def count_tokens(text: str) -> int:
    return len(WORD.findall(text))


def answer(body: Json) -> Answer:
    """To a chat or a plain prompt, held to `max_tokens`, `stop` and `response_format`."""
    texts = [body["prompt"]] if "prompt" in body else list(_list_texts(body["messages"]))
    if tool := choose_tool(body):
        words = WORD.findall(json.dumps(fill_schema(tool.get("parameters", {"type": "object"}), tool)))
        return Answer(words, "tool_calls", sum(map(count_tokens, texts)), tool["name"])
    shape = body.get("response_format", {}).get("type", "text")
    said = write_json(body) if shape != "text" else f'{SAID} You wrote: "{_quote(texts[-1] if texts else "")}"'
    words, stopped = WORD.findall(_cut(said, body.get("stop"))), "stop"
    limit = body.get("max_tokens", len(words))
    if len(words) > limit:
        words, stopped = words[:limit], "length"
    return Answer(words, stopped, sum(map(count_tokens, texts)))


def choose_tool(body: Json) -> Json | None:
    """The first that is offered, unless one has been called already."""
    if not body.get("tools") or body["messages"][-1]["role"] == "tool":
        return None
    chosen: Json = body["tools"][0]["function"]
    return chosen


def write_json(body: Json) -> str:
    wanted = body["response_format"]
    schema = wanted.get("json_schema", {}).get("schema") or FREE
    return json.dumps(fill_schema(schema, schema))


def fill_schema(schema: Json, root: Json, depth: int = 0) -> Any:
    """The smallest value that a schema of everyday use lets through."""
    if depth > DEEPEST:
        return None
    if reference := schema.get("$ref"):
        return fill_schema(_resolve(str(reference), root), root, depth + 1)
    for name in ("const", "default"):
        if name in schema:
            return schema[name]
    if schema.get("enum"):
        return schema["enum"][0]
    for name in ("anyOf", "oneOf", "allOf"):
        if schema.get(name):
            return fill_schema(schema[name][0], root, depth + 1)
    kind = schema.get("type", "object" if "properties" in schema else "string")
    kind = kind[0] if isinstance(kind, list) else kind
    if kind == "object":
        return {name: fill_schema(one, root, depth + 1) for name, one in schema.get("properties", {}).items()}
    if kind == "array":
        return [fill_schema(schema.get("items") or {}, root, depth + 1)] * int(schema.get("minItems", 0))
    if kind in ("integer", "number"):
        return schema.get("minimum", 0)
    return _FILLED.get(kind)


def _resolve(reference: str, root: Json) -> Json:
    found: Any = root
    for part in filter(None, reference.removeprefix("#").split("/")):
        found = found.get(part, {}) if isinstance(found, dict) else {}
    return found if isinstance(found, dict) else {}


def _list_texts(messages: list[Json]) -> Iterator[str]:
    for message in messages:
        content = message.get("content") or ""
        if isinstance(content, str):
            yield content
        else:
            yield " ".join(part.get("text", "") for part in content)


def _quote(text: str) -> str:
    return text if len(text) <= QUOTED_CHARACTERS else text[:QUOTED_CHARACTERS].rstrip() + "…"


def _cut(text: str, stop: str | list[str] | None) -> str:
    found = [text.find(one) for one in ([stop] if isinstance(stop, str) else stop or [])]
    return text[: min((at for at in found if at >= 0), default=len(text))]
