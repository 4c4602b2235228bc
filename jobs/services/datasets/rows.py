"""One row of training data: which of the three formats it is in, its turns, and what is wrong with it."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, NoReturn

from jobs.models import DatasetFormat
from jobs.text.deferred import gettext as _
from jobs.text.json_words import explain
from jobs.text.printable import printable

from .images.parts import HINT, Fault, RowImage, is_image, read_part, references
from .tool_rows import calls

Turn = tuple[str, str]


@dataclass(frozen=True)
class Complaint:
    """`field` is a path such as `messages[1].content`, or empty for the whole line."""

    field: str
    problem: str
    remedy: str


@dataclass(frozen=True)
class Row:
    """`repeated` is a field that stands twice in an object of the line; JSON lets the last one count."""

    format: DatasetFormat
    turns: tuple[Turn, ...]
    repeated: str = ""
    images: tuple[RowImage, ...] = ()
    uses_tools: bool = False

    @property
    def characters(self) -> int:
        return sum(len(text) for _role, text in self.turns)

    @property
    def answer_characters(self) -> int:
        return sum(len(text) for role, text in self.turns if role == "assistant")


class Findings(list[Complaint]):
    """What is wrong with a row, while it is read, and the images in its turns."""

    def __init__(self) -> None:
        super().__init__()
        self.images: list[RowImage] = []


class Names:
    """Makes the objects of one line, and remembers a name that one of them has twice."""

    def __init__(self) -> None:
        self.repeated = ""

    def __call__(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(pairs)
        if len(made) < len(pairs) and not self.repeated:
            names = [name for name, _value in pairs]
            self.repeated = next(name for name in names if names.count(name) > 1)
        return made


# Why an image cannot be taken, if so: whether it is there, and may be read.
Judge = Callable[[RowImage], Fault | None]


def parse(text: str, judge: Judge | None = None) -> tuple[Row | None, list[Complaint]]:
    """The row, or at least one complaint. Without a judge no address of an image is looked at."""
    names = Names()
    value, complaint = read_json(text, names)
    if complaint:
        return None, [complaint]
    row, findings = read_object(value)
    complaints: list[Complaint] = findings
    if row and HINT.search(text):
        known = {id(image.source) for image in row.images}
        complaints = [_hidden_image(path) for path, _uri, source in references(value) if id(source) not in known]
    if row and judge and not complaints:
        complaints = [Complaint(*fault) for image in row.images if (fault := judge(image))]
    if complaints:
        return None, complaints
    return (replace(row, repeated=printable(names.repeated[:40])) if row and names.repeated else row), complaints


def read_json(text: str, names: Names | None = None) -> tuple[dict[str, Any], Complaint | None]:
    try:
        value = json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=names)
    except Constant as error:
        return {}, Complaint("", _("%s is not JSON.") % error, _("Use a number or a string, or leave the field out."))
    except json.JSONDecodeError as error:
        return {}, _not_json(text, error)
    except (ValueError, RecursionError):
        return {}, Complaint("", _("The line cannot be read as JSON."), _("Write one plain JSON object."))
    if not isinstance(value, dict):
        remedy = _('Write an object, such as {"prompt": "…", "completion": "…"}.')
        return {}, Complaint("", _("The line is not a JSON object."), remedy)
    return value, None


class Constant(ValueError):
    pass


def _refuse_constant(name: str) -> NoReturn:
    raise Constant(name)


def _not_json(text: str, error: json.JSONDecodeError) -> Complaint:
    problem = _("The line is not JSON: %(reason)s at character %(column)d.") % {
        "reason": explain(error), "column": error.pos + 1,
    }  # fmt: skip
    if text.lstrip()[:1] in ("[", "]") or text.strip() in ("{", "}", "},"):
        return Complaint("", problem, _("Write each object on its own line, without a list around them."))
    return Complaint("", problem, _("Write one JSON object per line, with double quotes around strings."))


def read_object(value: dict[str, Any]) -> tuple[Row | None, Findings]:
    """With the images of the row, whatever is wrong with it."""
    for name, reader in READERS.items():
        if name in value:
            row_format, turns, complaints = reader(value)
            complaints += [Complaint(*fault) for fault in calls.check_tools(value)]
            images, uses_tools = tuple(complaints.images), calls.has_tools(value)
            row = Row(row_format, tuple(turns), images=images, uses_tools=uses_tools)
            return None if complaints else row, complaints
    unknown = Findings()
    unknown.append(_unknown_format(value))
    return None, unknown


def _unknown_format(value: dict[str, Any]) -> Complaint:
    known = _("Use prompt and completion, messages, or contents.")
    if "conversations" in value:
        remedy = _("This looks like ShareGPT. Rename conversations to messages, from to role and value to content.")
        return Complaint("conversations", _("This format is not supported."), remedy)
    if "instruction" in value:
        remedy = _("This looks like Alpaca. Rename instruction to prompt and output to completion.")
        return Complaint("instruction", _("This format is not supported."), remedy)
    return Complaint("", _("The row has none of the fields prompt, messages or contents."), known)


def _read_prompt(value: dict[str, Any]) -> tuple[DatasetFormat, list[Turn], Findings]:
    complaints = Findings()
    turns = [
        (role, _text(value.get(name), name, complaints))
        for name, role in (("prompt", "user"), ("completion", "assistant"))
    ]
    return DatasetFormat.PROMPT, turns, complaints


def _read_messages(value: dict[str, Any]) -> tuple[DatasetFormat, list[Turn], Findings]:
    complaints = Findings()
    turns: list[Turn] = []
    for index, message in _items(value["messages"], "messages", complaints):
        path = f"messages[{index}]"
        if not isinstance(message, dict):
            complaints.append(_not_a_turn(path))
            continue
        role = message.get("role")
        if role not in ("system", "user", "assistant", "tool"):
            complaints.append(_role(path, role, "system, user, assistant, tool"))
        with _only_of_user(role, complaints):
            turns.append((str(role), _text_of_message(message, path, complaints)))
    if not complaints:
        _check_order([role for role, _text in turns], "messages", "assistant", complaints)
    return DatasetFormat.MESSAGES, turns, complaints


def _text_of_message(message: dict[str, Any], path: str, complaints: Findings) -> str:
    """The text, or the calls of a model that calls tools, which may say something, too."""
    if message.get("role") != "assistant" or "tool_calls" not in message:
        return _content(message.get("content"), f"{path}.content", complaints)
    called, faults = calls.read_calls(message, path)
    complaints += [Complaint(*fault) for fault in faults]
    said = _content(message["content"], f"{path}.content", complaints) if message.get("content") else ""
    return f"{said}\n{called}".strip()


def _read_contents(value: dict[str, Any]) -> tuple[DatasetFormat, list[Turn], Findings]:
    complaints = Findings()
    turns: list[Turn] = []
    if "system_instruction" in value:
        complaints.append(
            Complaint("system_instruction", _("This field is ignored."), _("Rename it to systemInstruction."))
        )
    if "systemInstruction" in value:
        with _only_of_user("system", complaints):
            turns.append(("system", _parts(value["systemInstruction"], "systemInstruction", complaints)))
    for index, content in _items(value["contents"], "contents", complaints):
        path = f"contents[{index}]"
        role = content.get("role") if isinstance(content, dict) else None
        if isinstance(content, dict) and role not in ("user", "model", "function"):
            complaints.append(_role(path, role, "user, model, function"))
        answers = role == "function" or _has_response(content)
        with _only_of_user(role, complaints):
            turns.append(("tool" if answers else str(role), _parts(content, path, complaints)))
    if not complaints:
        _check_order([role for role, _text in turns], "contents", "model", complaints)
    turns = [("assistant" if role == "model" else role, text) for role, text in turns]
    return DatasetFormat.CONTENTS, turns, complaints


def _has_response(content: Any) -> bool:
    parts = content.get("parts") if isinstance(content, dict) else None
    return isinstance(parts, list) and any(isinstance(part, dict) and "functionResponse" in part for part in parts)


Reader = Callable[[dict[str, Any]], tuple[DatasetFormat, list[Turn], Findings]]
READERS: dict[str, Reader] = {
    "messages": _read_messages, "contents": _read_contents, "prompt": _read_prompt, "completion": _read_prompt,
}  # fmt: skip


def _items(value: Any, path: str, complaints: Findings) -> list[tuple[int, Any]]:
    if isinstance(value, list) and value:
        return list(enumerate(value))
    complaints.append(Complaint(path, _("This is not a list of turns."), _("Write a list with at least two turns.")))
    return []


def _content(value: Any, path: str, complaints: Findings) -> str:
    """A text, or a list of text parts."""
    if not isinstance(value, list):
        return _text(value, path, complaints)
    if not value:
        complaints.append(_empty(path))
    texts = []
    for index, part in enumerate(value):
        here = f"{path}[{index}]"
        if isinstance(part, dict) and part.get("type") == "text":
            texts.append(_text(part.get("text"), f"{here}.text", complaints))
        elif is_image(part):
            _take_image(part, here, complaints)
        else:
            complaints.append(_not_a_part(here))
    return "\n".join(texts)


def _take_image(part: dict[str, Any], path: str, complaints: Findings) -> None:
    found = read_part(part, path)
    if isinstance(found, RowImage):
        complaints.images.append(found)
    else:
        complaints.append(Complaint(*found))


@contextmanager
def _only_of_user(role: Any, complaints: Findings) -> Iterator[None]:
    """A turn is read inside of it."""
    before = len(complaints.images)
    yield
    if role != "user":
        remedy = _("Move the image to a turn of the user.")
        for image in complaints.images[before:]:
            complaints.append(Complaint(image.path, _("Only turns of the user can have images."), remedy))


def _parts(value: Any, path: str, complaints: Findings) -> str:
    parts = value.get("parts") if isinstance(value, dict) else None
    if not isinstance(parts, list) or not parts:
        remedy = _('Write {"role": "user", "parts": [{"text": "…"}]}.')
        complaints.append(Complaint(path, _("The turn has no parts."), remedy))
        return ""
    texts = []
    for index, part in enumerate(parts):
        here = f"{path}.parts[{index}]"
        if isinstance(part, dict) and "text" not in part and is_image(part):
            _take_image(part, here, complaints)
        elif isinstance(part, dict) and ("functionCall" in part or "functionResponse" in part):
            text, fault = calls.read_part(part, here)
            texts.append(text)
            complaints += [Complaint(*fault)] if fault else []
        elif isinstance(part, dict) and "text" in part:
            texts.append(_text(part["text"], f"{here}.text", complaints))
        else:
            complaints.append(_not_a_part(here))
    return "\n".join(texts)


def _text(value: Any, path: str, complaints: Findings) -> str:
    if value is None:
        complaints.append(Complaint(path, _("The field is missing."), _("Add it with a text value.")))
    elif not isinstance(value, str):
        complaints.append(Complaint(path, _("This is not a string."), _("Put it in double quotes.")))
    elif not value.strip():
        complaints.append(_empty(path))
    elif "\x00" in value or any("\ud800" <= character <= "\udfff" for character in value):
        remedy = _("Remove it. It is not a valid character.")
        complaints.append(Complaint(path, _("The text contains a character that is not allowed."), remedy))
    else:
        return value
    return ""


def _check_order(roles: list[str], path: str, answerer: str, complaints: Findings) -> None:
    """A system turn first if at all, then questions and answers in turn; the last one is what is learnt."""
    start = 1 if roles[0] == "system" else 0
    for index, role in enumerate(roles[start:], start):
        if role == "tool" and index > start and roles[index - 1] in ("tool", answerer):
            continue
        if role == "system":
            remedy = _("Move it to the start, and write only one.")
            complaints.append(Complaint(f"{path}[{index}].role", _("The system turn must come first."), remedy))
            return
        expected = "user" if index == start or roles[index - 1] == answerer else answerer
        if role != expected:
            words = {"expected": expected, "role": role}
            remedy = _("Alternate between user and %s, starting with user.") % answerer
            problem = _("Expected %(expected)s here, found %(role)s.") % words
            complaints.append(Complaint(f"{path}[{index}].role", problem, remedy))
            return
    if len(roles) <= start or roles[-1] != answerer:
        remedy = _("End with the answer that the model should learn.")
        complaints.append(Complaint(path, _("The last turn is not from %s.") % answerer, remedy))


def _role(path: str, role: Any, known: str) -> Complaint:
    problem = _("The role is missing.") if role is None else _("Unknown role: %s.") % printable(str(role)[:40])
    return Complaint(f"{path}.role", problem, _("Use one of: %s.") % known)


def _not_a_turn(path: str) -> Complaint:
    return Complaint(path, _("This is not a turn."), _("Write an object with role and content."))


def _not_a_part(path: str) -> Complaint:
    return Complaint(path, _("This is not a text part."), _("Use text parts only."))


def _hidden_image(path: str) -> Complaint:
    remedy = _("Remove it, or make it an image part of its own in a turn of the user.")
    return Complaint(path, _("This part is an image or a file."), remedy)


def _empty(path: str) -> Complaint:
    return Complaint(path, _("The text is empty."), _("Write a text, or remove the row."))
