"""Calls and answers of tools as (path, problem, remedy) and as text. Pure: no row, no file."""

import json
import re
from collections.abc import Iterator
from typing import Any

from jobs.text.deferred import gettext as _

Fault = tuple[str, str, str]
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.:-]{0,63}")


def check_tools(row: dict[str, Any]) -> Iterator[Fault]:
    """`tools` of the row: a list of {"type": "function", "function": {…}}, or Gemini's functionDeclarations."""
    if "tools" not in row:
        return
    tools = row["tools"]
    if not isinstance(tools, list):
        yield "tools", _("This is not a list of tools."), _("Write a list of function declarations.")
        return
    for path, declaration in _declarations(tools):
        if not isinstance(declaration, dict) or not _is_name(declaration.get("name")):
            yield path, _("The function has no valid name."), _name_remedy()
        elif not isinstance(declaration.get("parameters", {}), dict):
            yield f"{path}.parameters", _("This is not a JSON schema."), _("Write an object, or leave it out.")


def has_tools(row: dict[str, Any]) -> bool:
    """Whether it offers tools, calls one, or has the answer of one. The row may be wrong otherwise."""
    turns = row.get("messages", row.get("contents"))
    spoken = [turn for turn in turns if isinstance(turn, dict)] if isinstance(turns, list) else []
    return bool(row.get("tools")) or any(map(_uses_tools, spoken))


def _uses_tools(turn: dict[str, Any]) -> bool:
    parts = turn.get("parts")
    used = isinstance(parts, list) and any(
        isinstance(part, dict) and ("functionCall" in part or "functionResponse" in part) for part in parts
    )
    return used or turn.get("role") in ("tool", "function") or bool(turn.get("tool_calls"))


def _declarations(tools: list[Any]) -> Iterator[tuple[str, Any]]:
    for index, tool in enumerate(tools):
        several = tool.get("functionDeclarations") if isinstance(tool, dict) else None
        if isinstance(several, list):
            yield from ((f"tools[{index}].functionDeclarations[{at}]", one) for at, one in enumerate(several))
        else:
            yield f"tools[{index}].function", tool.get("function") if isinstance(tool, dict) else None


def read_calls(message: dict[str, Any], path: str) -> tuple[str, list[Fault]]:
    """OpenAI's `tool_calls`, as the text of the calls. `arguments` is JSON in a string, or an object."""
    calls = message.get("tool_calls")
    here = f"{path}.tool_calls"
    if not isinstance(calls, list) or not calls:
        return "", [(here, _("This is not a list of calls."), _("Write at least one call, or leave the field out."))]
    texts, faults = [], []
    for index, call in enumerate(calls):
        function = call.get("function") if isinstance(call, dict) else None
        text, fault = _read_call(function, "arguments", f"{here}[{index}].function")
        texts.append(text)
        faults += [fault] if fault else []
    return "\n".join(texts), faults


def read_part(part: dict[str, Any], path: str) -> tuple[str, Fault | None]:
    """Gemini's functionCall or functionResponse."""
    if "functionCall" in part:
        return _read_call(part["functionCall"], "args", f"{path}.functionCall")
    return _read_call(part["functionResponse"], "response", f"{path}.functionResponse")


def _read_call(function: Any, field: str, path: str) -> tuple[str, Fault | None]:
    if not isinstance(function, dict) or not _is_name(function.get("name")):
        return "", (path, _("The function has no valid name."), _name_remedy())
    values = function.get(field, {})
    if isinstance(values, str):
        try:
            values = json.loads(values)
        except (ValueError, RecursionError):
            values = None
    if not isinstance(values, dict):
        return "", (
            f"{path}.{field}",
            _("This is not a JSON object."),
            _("Write an object with a value for each name."),
        )
    return f"{function['name']}({json.dumps(values, ensure_ascii=False)})", None


def _is_name(name: Any) -> bool:
    return isinstance(name, str) and NAME.fullmatch(name) is not None


def _name_remedy() -> str:
    return _("Write a name of letters, digits, and underscores.")
