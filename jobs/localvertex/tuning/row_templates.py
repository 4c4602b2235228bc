"""Templates of the LoRA container's `--train_template`: how a row of any columns becomes turns of a chat.

The container trains on the text that a template makes of a row. Here its separators say who speaks, and the turns take
the form that the base model's own chat template gives them.
"""

import json
import re
import string
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from jobs.localvertex.api.errors import ApiError, invalid
from jobs.localvertex.api.wire import Json

LARGEST = 1_000_000
DEFAULT_COLUMN = "messages"
KEYS = (
    "description", "source", "chat_template", "prompt_input", "prompt_no_input", "instruction_separator",
    "response_separator",
)  # fmt: skip
# Of the container's own, the one for rows of a dataset that many recipes name.
NAMED: dict[str, Json] = {
    "openassistant-guanaco": {
        "prompt_input": "{text}",
        "instruction_separator": "### Human:",
        "response_separator": "### Assistant:",
    }
}


@dataclass(frozen=True)
class Template:
    """`column` holds the messages of a chat, or decides between the two texts of any other template."""

    text: str
    without_input: str
    instruction: str
    response: str
    column: str
    is_chat: bool = False

    def rows(self, lines: Iterator[str]) -> Iterator[str]:
        """A row of messages for each line that is not empty. Raises INVALID_ARGUMENT with the number of a bad one."""
        for number, line in enumerate(lines, start=1):
            if line.strip():
                try:
                    yield json.dumps({"messages": self._messages(json.loads(line))}, ensure_ascii=False)
                except (ValueError, TypeError) as error:
                    raise invalid(f"Line {number} of the dataset does not fit the template: {error}.") from None

    def _messages(self, row: object) -> list[Json]:
        if not isinstance(row, dict):
            raise TypeError("a row must be a JSON object")
        if self.is_chat:
            if self.column not in row:
                raise ValueError(f"it has no column {self.column!r}")
            found: list[Json] = row[self.column]
            return found
        text = self.text if row.get(self.column) or not self.without_input else self.without_input
        missing = [name for name in _columns(text) if name not in row]
        if missing:
            raise ValueError(f"it has no column {missing[0]!r}")
        return self._split(string.Formatter().vformat(text, (), {key: _show(value) for key, value in row.items()}))

    def _split(self, text: str) -> list[Json]:
        """What comes before the first separator is an instruction, too."""
        marks = [mark for mark in (self.instruction, self.response) if mark]
        speakers, turns = "user", list[Json]()
        for piece in re.split(f"({'|'.join(map(re.escape, marks))})", text):
            if piece in marks:
                speakers = "assistant" if piece == self.response else "user"
            elif piece.strip():
                turns.append({"role": speakers, "content": piece.strip()})
        if not any(turn["role"] == "assistant" for turn in turns):
            raise ValueError(f"no text follows {self.response!r}")
        return turns


def read_template(content: bytes, column: str, place: object) -> Json:
    """What is to be remembered of a job. Raises INVALID_ARGUMENT for what is no template."""
    try:
        found = json.loads(content)
        template = {key: found[key] for key in KEYS[2:] if found.get(key)}
    except (ValueError, AttributeError, TypeError):
        raise _bad(place, "is not a JSON object") from None
    if unknown := sorted(set(found) - set(KEYS)):
        raise _bad(place, f"has the unknown field {unknown[0]!r}. A template has {', '.join(KEYS)}")
    if any(not isinstance(text, str) for text in template.values()):
        raise _bad(place, "must have texts only")
    if ("chat_template" in template) == ("prompt_input" in template or "prompt_no_input" in template):
        raise _bad(place, "must have either chat_template, or prompt_input and prompt_no_input")
    if "chat_template" not in template and "response_separator" not in template:
        raise _bad(place, "needs response_separator: without it, nobody can tell what the model is to answer")
    for key in ("prompt_input", "prompt_no_input"):
        _check_text(template.get(key, ""), place, key)
    return {**template, "column": column}


def load_template(note: Json) -> Template:
    return Template(
        text=note.get("prompt_input") or note.get("prompt_no_input", ""),
        without_input=note.get("prompt_no_input", ""),
        instruction=note.get("instruction_separator", ""),
        response=note.get("response_separator", ""),
        column=note["column"],
        is_chat="chat_template" in note,
    )


def apply_template(note: Json, source: Path, target: Path) -> None:
    """Makes a file of messages, as a whole or not at all."""
    if target.exists():
        return
    partial = target.with_name(f"{target.name}.partial")
    try:
        with source.open(encoding="utf-8") as lines, partial.open("w", encoding="utf-8") as rows:
            rows.writelines(f"{row}\n" for row in load_template(note).rows(lines))
    except UnicodeDecodeError:
        raise invalid("The dataset is not UTF-8.") from None
    partial.replace(target)


def _check_text(text: str, place: object, key: str) -> None:
    """Only columns may be named: Python's own notation could reach further."""
    try:
        parts = list(string.Formatter().parse(text))
    except ValueError as error:
        raise _bad(place, f"cannot be read: {key}: {error}") from None
    for _, name, form, conversion in parts:
        if name is not None and (not re.fullmatch(r"\w+", name) or form or conversion):
            raise _bad(place, f"may name columns in {key} as {{column}} only, not as {{{name}}}")


def _columns(text: str) -> list[str]:
    return [name for _, name, _, _ in string.Formatter().parse(text) if name is not None]


def _show(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _bad(place: object, what: str) -> ApiError:
    return invalid(f"The template {place} {what}.", "--train_template")
