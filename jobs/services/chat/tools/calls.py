"""What a model calls, put together from a stream, and what the person types as its result. Pure.

A turn keeps in `tools` either {"calls": [{"id", "name", "arguments"}]} or {"results": [{"id", "name", "content"}]}.
`arguments` is an object.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from jobs.errors import NotAllowedNow
from jobs.text.deferred import gettext as _

Json = dict[str, Any]
MOST = 32


class Collector:
    """Parts of calls come by their number; `id` and `name` at first, the arguments piece by piece."""

    def __init__(self) -> None:
        self._parts: dict[int, dict[str, str]] = {}

    def add(self, parts: Sequence[Mapping[str, Any]]) -> int:
        """How many characters they have."""
        for part in parts:
            if part["index"] not in self._parts and len(self._parts) == MOST:
                continue
            call = self._parts.setdefault(part["index"], {"id": "", "name": "", "arguments": ""})
            call["id"], call["name"] = call["id"] or part["id"], call["name"] or part["name"]
            call["arguments"] += part["arguments"]
        return sum(len(part["arguments"]) for part in parts)

    def finish(self) -> tuple[list[Json], str]:
        """The calls; and, of those that are none, the text that the model wrote."""
        calls, text = [], []
        for index, part in sorted(self._parts.items()):
            arguments = _read(part["arguments"])
            if part["name"] and arguments is not None:
                name = part["name"]
                calls.append({"id": part["id"] or f"call_{index}", "name": name, "arguments": arguments})
            else:
                text.append(f"{part['name']}({part['arguments']})")
        return calls, "\n".join(text)


def _read(text: str) -> Json | None:
    try:
        found = json.loads(text) if text.strip() else {}
        # What can be said again to a server and kept in a database.
        json.dumps(found, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) and "\\u0000" not in json.dumps(found) else None


def results_of(calls: Sequence[Json], text: str) -> Json:
    """What was typed as the answer to these calls: as it is for one; a JSON list in their order for several."""
    texts = [text] if len(calls) == 1 else _list(text, len(calls))
    return {
        "results": [
            {"id": call["id"], "name": call["name"], "content": content}
            for call, content in zip(calls, texts, strict=True)
        ]
    }


def _list(text: str, count: int) -> list[str]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, list) or len(found) != count:
        raise NotAllowedNow(
            _('Enter a JSON list with %d results, one for each call in their order, such as ["…", "…"].') % count
        )
    return [one if isinstance(one, str) else json.dumps(one, ensure_ascii=False) for one in found]


def messages_of(role: str, content: Any, tools: Mapping[str, Any]) -> list[Json]:
    """A turn as chat/completions has it: results are a message each."""
    if results := tools.get("results"):
        return [
            {"role": "tool", "tool_call_id": one["id"], "name": one["name"], "content": one["content"]}
            for one in results
        ]
    message: Json = {"role": role, "content": content}
    if calls := tools.get("calls"):
        message["tool_calls"] = [
            {
                "id": one["id"],
                "type": "function",
                "function": {"name": one["name"], "arguments": json.dumps(one["arguments"], ensure_ascii=False)},
            }
            for one in calls
        ]
    return [message]


def as_text(calls: Sequence[Mapping[str, Any]]) -> str:
    """To be read, a call in a line."""
    return "\n".join(f"{one['name']}({json.dumps(one['arguments'], ensure_ascii=False)})" for one in calls)
