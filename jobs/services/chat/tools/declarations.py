"""The functions that a chat offers to its model. Pure."""

import json
import re
from typing import Any

from jobs.text.deferred import gettext as _
from jobs.text.json_words import explain

LONGEST = 40_000
MOST = 64
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.:-]{0,63}")


def read(text: str) -> list[dict[str, Any]]:
    """A list of declarations as chat/completions takes them, from that form, from Gemini's functionDeclarations, or
    from plain declarations. Nothing for an empty text. Raises ValueError with what is wrong, by its path."""
    if not text.strip():
        return []
    try:
        found = json.loads(text, parse_constant=_refuse)
    except json.JSONDecodeError as error:
        words = {"line": error.lineno, "column": error.colno, "reason": explain(error)}
        raise ValueError(_("Line %(line)d, column %(column)d is not valid JSON: %(reason)s.") % words) from None
    except (ValueError, RecursionError):
        raise ValueError(_("This cannot be read as JSON.")) from None
    tools = [_as_tool(path, one) for path, one in _flatten(found if isinstance(found, list) else [found])]
    if problem := why_not(tools):
        raise ValueError(problem)
    return tools


def why_not(tools: Any) -> str:
    """Why these cannot be sent, or nothing."""
    if not isinstance(tools, list) or len(tools) > MOST:
        return _("Write a list of at most %d functions.") % MOST
    try:
        written = json.dumps(tools, ensure_ascii=False, allow_nan=False)
        written.encode()
    except (ValueError, RecursionError, TypeError):
        return _("This cannot be read as JSON.")
    if len(written) > LONGEST or "\\u0000" in written:
        return _("The functions have at most %d characters in all.") % LONGEST
    names = [_name_of(tool) for tool in tools]
    if not all(names):
        return _("Each function needs a name of letters, digits, and underscores.")
    if len(set(names)) < len(names):
        return _("Two functions have the same name. Rename one of them.")
    return ""


def _flatten(found: list[Any]) -> list[tuple[str, Any]]:
    flat = []
    for index, one in enumerate(found):
        several = one.get("functionDeclarations") if isinstance(one, dict) else None
        if isinstance(several, list):
            flat += [(f"[{index}].functionDeclarations[{at}]", inner) for at, inner in enumerate(several)]
        else:
            flat.append((f"[{index}]", one.get("function", one) if isinstance(one, dict) else one))
    return flat


def _as_tool(path: str, function: Any) -> dict[str, Any]:
    if not isinstance(function, dict) or not isinstance(function.get("name"), str) or not NAME.fullmatch(
        function["name"]
    ):  # fmt: skip
        raise ValueError(_("%s needs a name of letters, digits, and underscores.") % path)
    if not isinstance(function.get("description", ""), str):
        raise ValueError(_("%s.description must be a string.") % path)
    if not isinstance(function.get("parameters", {}), dict):
        raise ValueError(_("%s.parameters must be a JSON schema, which is an object.") % path)
    return {"type": "function", "function": function}


def _name_of(tool: Any) -> str:
    function = tool.get("function") if isinstance(tool, dict) else None
    name = function.get("name") if isinstance(function, dict) else None
    return name if isinstance(name, str) and NAME.fullmatch(name) else ""


def _refuse(name: str) -> Any:
    raise ValueError(name)
