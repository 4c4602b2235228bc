"""A row as a form: which texts of it a person can edit, and the row with what they typed.

Whatever else stands in the row (images, fields that nobody reads) stays as it is.
"""

import json
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from jobs.services.datasets.preview import Picture, image_of
from jobs.text.printable import printable

Path = tuple[str | int, ...]
ADD_SYSTEM, ADD_TURN, DROP_TURN = "add-system", "add-turn", "drop-turn"
ROLES = {"messages": ("system", "user", "assistant"), "contents": ("user", "model")}


@dataclass(frozen=True)
class TextField:
    """`name` is the path as complaints name it, such as `messages[1].content`."""

    name: str
    text: str


@dataclass(frozen=True)
class FormTurn:
    """`role_name`: under which name the role is sent, where there is a choice."""

    role: str
    texts: tuple[TextField, ...]
    pictures: tuple[Picture, ...] = ()
    role_name: str = ""
    roles: tuple[str, ...] = ()


def kind_of(value: Any) -> str:
    """`messages`, `contents` or `prompt`; empty for a row that can be edited as JSON only."""
    if not isinstance(value, dict):
        return ""
    for kind in ROLES:
        if kind in value:
            turns = value[kind]
            fits = isinstance(turns, list) and turns and all(isinstance(turn, dict) for turn in turns)
            return kind if fits else ""
    return "prompt" if {"prompt", "completion"} & set(value) else ""


def empty_row(kind: str) -> dict[str, Any]:
    if kind == "prompt":
        return {"prompt": "", "completion": ""}
    value: dict[str, Any] = {"contents" if kind == "contents" else "messages": []}
    return change_turns(change_turns(value, ADD_TURN), ADD_TURN)


def turns_of(value: dict[str, Any]) -> list[FormTurn]:
    kind = kind_of(value)
    if kind == "prompt":
        pairs = (("user", "prompt"), ("assistant", "completion"))
        return [FormTurn(role, (_field((name,), value.get(name)),)) for role, name in pairs]
    turns = []
    if kind == "contents" and isinstance(value.get("systemInstruction"), dict):
        turns.append(_turn("system", ("systemInstruction",), value["systemInstruction"], "parts"))
    for index, turn in enumerate(value[kind] if kind else []):
        turns.append(_turn(turn.get("role"), (kind, index), turn, "parts" if kind == "contents" else "content"))
    return turns


def _turn(role: Any, path: Path, turn: dict[str, Any], content: str) -> FormTurn:
    place, parts = (*path, content), turn.get(content)
    if isinstance(parts, list):
        whole = [(index, part) for index, part in enumerate(parts) if isinstance(part, dict)]
        pictures = tuple(found for _index, part in whole if (found := image_of(part)))
        texts = tuple(_field((*place, index, "text"), part.get("text")) for index, part in whole if "text" in part)
    else:
        pictures, texts = (), (_field(place, parts),)
    shown = printable(str(role or "")[:40])
    known = ROLES.get(str(path[0]), ()) if isinstance(role, str | None) else ()
    name = name_of((*path, "role")) if known else ""
    return FormTurn(shown, texts, pictures, name, known if shown in known else (shown, *known))


def _field(path: Path, text: Any) -> TextField:
    return TextField(name_of(path), fit_for_form(text) if isinstance(text, str) else "")


def fit_for_form(text: str) -> str:
    """As a browser sends it back: with plain line breaks, and without what no page can hold."""
    clean = text.replace("\r\n", "\n").replace("\r", "\n").replace("\x00", "\N{REPLACEMENT CHARACTER}")
    return clean.encode("utf-8", "replace").decode()


def name_of(path: Path) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".")


def with_texts(value: dict[str, Any], typed: Mapping[str, str]) -> dict[str, Any]:
    """What was not changed stays as it is, to the last character."""
    made = deepcopy(value)
    for turn in turns_of(value):
        for one in turn.texts:
            if one.name in typed and fit_for_form(typed[one.name]) != one.text:
                _put(made, one.name, fit_for_form(typed[one.name]))
        if typed.get(turn.role_name, turn.role) != turn.role:
            _put(made, turn.role_name, typed[turn.role_name])
    return made


def _put(value: Any, name: str, text: str) -> None:
    *way, last = path_of(name)
    for part in way:
        value = value[part]
    value[last] = text


def path_of(name: str) -> list[str | int]:
    parts = name.replace("[", ".").replace("]", "").split(".")
    return [int(part) if part.isdecimal() else part for part in parts]


def change_turns(value: dict[str, Any], change: str) -> dict[str, Any]:
    """With a turn added or dropped. What does not fit the row does nothing."""
    made = deepcopy(value)
    kind = next((kind for kind in ROLES if isinstance(made.get(kind), list)), "")
    turns = made.get(kind, [])
    if change == ADD_SYSTEM and kind == "messages":
        turns.insert(0, {"role": "system", "content": ""})
    elif change == ADD_SYSTEM and kind:
        made.setdefault("systemInstruction", {"parts": [{"text": ""}]})
    elif change == DROP_TURN and len(turns) > 1:
        turns.pop()
    elif change == ADD_TURN and kind:
        turns.append(_empty_turn(kind, turns))
    return made


def _empty_turn(kind: str, turns: list[Any]) -> dict[str, Any]:
    last = turns[-1].get("role") if turns and isinstance(turns[-1], dict) else None
    is_asked = last in ("user", "tool")
    if kind == "contents":
        return {"role": "model" if is_asked else "user", "parts": [{"text": ""}]}
    return {"role": "assistant" if is_asked else "user", "content": ""}


def has_system(value: dict[str, Any]) -> bool:
    return any(turn.role == "system" for turn in turns_of(value))


def dump(value: dict[str, Any]) -> bytes:
    """One line. Half a surrogate pair, in a field that nobody reads, can only be written as an escape."""
    try:
        return json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return json.dumps(value).encode()


def line_of(text: str) -> bytes:
    """JSON as it was typed: one line stays as it is, several become one. What is no JSON stays, to be refused."""
    text = text.strip()
    if not set("\r\n") & set(text):
        return text.encode("utf-8", "replace")
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return " ".join(_lines(text)).encode("utf-8", "replace")
    return dump(value)


def _lines(text: str) -> Iterator[str]:
    return (line for line in text.splitlines() if line)
