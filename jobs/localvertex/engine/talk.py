"""The turns of a row, with the tools that it offers: OpenAI's `tools` and `tool_calls`, and Gemini's functions."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, SupportsIndex, overload

Json = dict[str, Any]


class CallError(ValueError):
    pass


@dataclass(frozen=True)
class Turn:
    """In `content`, `IMAGE` stands where each of the images is. `calls` are those of an assistant, {"name",
    "arguments"}; `name` is the tool whose answer a turn is."""

    role: str
    content: str
    images: tuple[bytes, ...] = ()
    calls: tuple[Json, ...] = ()
    name: str = ""

    @property
    def characters(self) -> int:
        marks = len("<start_of_image>") * len(self.images)
        return len(self.content) - marks + sum(len(json.dumps(call)) for call in self.calls)

    def as_message(self) -> Json:
        """As chat templates have it."""
        message: Json = {"role": self.role, "content": self.content}
        if self.calls:
            message["tool_calls"] = [{"type": "function", "function": dict(call)} for call in self.calls]
        return message | ({"name": self.name} if self.name else {})


class Talk(list[Turn]):
    """A part of it offers the same tools."""

    def __init__(self, turns: Iterable[Turn], tools: tuple[Json, ...] = ()) -> None:
        super().__init__(turns)
        self.tools = tools

    @overload
    def __getitem__(self, at: SupportsIndex) -> Turn: ...
    @overload
    def __getitem__(self, at: slice) -> "Talk": ...
    def __getitem__(self, at: SupportsIndex | slice) -> "Turn | Talk":
        found = super().__getitem__(at)
        return Talk(found, self.tools) if isinstance(found, list) else found

    @property
    def uses_tools(self) -> bool:
        return bool(self.tools) or any(turn.calls or turn.role == "tool" for turn in self)


def tools_of(row: Json) -> tuple[Json, ...]:
    """Each as {"type": "function", "function": {"name", "description", "parameters"}}, which templates expect."""
    tools = row.get("tools") or []
    if not isinstance(tools, list):
        raise CallError("tools must be a list of function declarations")
    found: list[Json] = []
    for tool in tools:
        if not isinstance(tool, dict):
            raise CallError("tools must be a list of function declarations")
        declared = tool.get("functionDeclarations", [tool.get("function")])
        if not isinstance(declared, list) or not all(isinstance(one, dict) and one.get("name") for one in declared):
            raise CallError("each of the tools must be a function with a name")
        found += [{"type": "function", "function": one} for one in declared]
    return tuple(found)


def calls_of(message: Json) -> tuple[Json, ...]:
    calls = message.get("tool_calls") or []
    if not isinstance(calls, list) or not all(isinstance(call, dict) for call in calls):
        raise CallError("tool_calls must be a list of calls")
    return tuple(_call(call.get("function"), "arguments") for call in calls)


def calls_in_parts(parts: Any) -> tuple[Json, ...]:
    found = parts if isinstance(parts, list) else []
    return tuple(_call(part["functionCall"], "args") for part in found if _has(part, "functionCall"))


def answers_in_parts(parts: Any) -> list[Turn]:
    found = parts if isinstance(parts, list) else []
    answers = [_call(part["functionResponse"], "response") for part in found if _has(part, "functionResponse")]
    return [Turn("tool", json.dumps(one["arguments"], ensure_ascii=False), name=one["name"]) for one in answers]


def _has(part: Any, field: str) -> bool:
    return isinstance(part, dict) and field in part


def _call(function: Any, field: str) -> Json:
    if not isinstance(function, dict) or not isinstance(function.get("name"), str) or not function["name"]:
        raise CallError("a call must name its function")
    values = function.get(field) or {}
    if isinstance(values, str):
        try:
            values = json.loads(values)
        except (ValueError, RecursionError):
            values = None
    if not isinstance(values, dict):
        raise CallError(f"the {field} of {function['name'][:64]} must be a JSON object")
    return {"name": function["name"], "arguments": values}
