"""What a chat request says of tools, as far as llama.cpp understands it."""

import json
from typing import Any

from jobs.localvertex.api.errors import invalid
from jobs.localvertex.api.wire import Json

MOST = 128


def are_tools(value: Any) -> bool:
    return isinstance(value, list) and len(value) <= MOST and all(_is_tool(tool) for tool in value)


def _is_tool(tool: Any) -> bool:
    function = tool.get("function") if isinstance(tool, dict) and tool.get("type") == "function" else None
    if not isinstance(function, dict) or not isinstance(function.get("name"), str) or not function["name"]:
        return False
    if not isinstance(function.get("parameters", {}), dict):
        return False
    return isinstance(function.get("description", ""), str)


def follows(turn: Json, before: Json) -> bool:
    """A result comes after the call, or after another result; and after it the user may go on."""
    if turn["role"] == "tool":
        return bool(before["role"] == "tool" or before.get("tool_calls"))
    return bool(turn["role"] == "user" and before["role"] == "tool")


def message(where: str, given: Json) -> Json:
    """A result, or an answer with calls. Raises INVALID_ARGUMENT."""
    content = given.get("content")
    if content is not None and not isinstance(content, str):
        raise invalid(f"{where}.content must be a text.", f"{where}.content")
    if given.get("role") == "tool":
        named = {key: given[key] for key in ("tool_call_id", "name") if isinstance(given.get(key), str)}
        return {"role": "tool", "content": content or "", **named}
    if given.get("role") != "assistant":
        raise invalid(f"{where}.tool_calls: only the assistant calls tools.", f"{where}.tool_calls")
    calls = given["tool_calls"]
    if not isinstance(calls, list) or not calls:
        raise invalid(f"{where}.tool_calls must be a list of calls.", f"{where}.tool_calls")
    return {
        "role": "assistant",
        "content": content or "",
        "tool_calls": [_call(f"{where}.tool_calls[{number}]", call) for number, call in enumerate(calls)],
    }


def _call(where: str, call: Any) -> Json:
    function = call.get("function") if isinstance(call, dict) else None
    name = function.get("name") if isinstance(function, dict) else None
    if not isinstance(function, dict) or not isinstance(name, str) or not name:
        raise invalid(f"{where}.function.name is missing.", where)
    arguments = function.get("arguments", "{}")
    try:
        if not isinstance(json.loads(arguments), dict):
            raise ValueError
    except (ValueError, TypeError, RecursionError):
        raise invalid(f"{where}.function.arguments must be a JSON object as a string.", where) from None
    identity = call.get("id") if isinstance(call.get("id"), str) else ""
    return {"id": identity, "type": "function", "function": {"name": name, "arguments": arguments}}


def add(message: Json, parts: Any) -> None:
    """The parts of a stream to the calls of a whole answer."""
    for part in parts or []:
        calls = message.setdefault("tool_calls", [])
        index = part.get("index", len(calls))
        while len(calls) <= index < MOST:
            calls.append({"id": "", "type": "function", "function": {"name": "", "arguments": ""}})
        call, told = calls[index], part.get("function") or {}
        call["id"] = call["id"] or part.get("id") or ""
        call["function"]["name"] = call["function"]["name"] or told.get("name") or ""
        call["function"]["arguments"] += told.get("arguments") or ""
