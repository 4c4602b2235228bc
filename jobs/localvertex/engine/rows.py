"""The three formats of a tuning row, read as chat turns: prompt/completion, messages, and Gemini's contents."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jobs.localvertex.engine.job import JobError

ROLES = {"system": "system", "user": "user", "assistant": "assistant", "model": "assistant"}


@dataclass(frozen=True)
class Turn:
    role: str
    content: str


class RowError(ValueError):
    pass


def text_of(content: Any) -> str:
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise RowError("the content of a message must be text or a list of parts")
    return "".join(text_of_part(part) for part in content)


def text_of_part(part: Any) -> str:
    if not isinstance(part, dict) or not isinstance(part.get("text"), str):
        raise RowError("only text can be tuned here, remove images and other parts")
    text: str = part["text"]
    return text


def turn(role: Any, content: Any) -> Turn:
    if role not in ROLES:
        raise RowError(f"the role {role!r} is not one of system, user, assistant or model")
    return Turn(ROLES[role], text_of(content))


def objects(row: dict[str, Any], key: str) -> list[dict[str, Any]]:
    found = row[key]
    if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
        raise RowError(f'"{key}" must be a list of objects')
    return found


def turns_of_contents(row: dict[str, Any]) -> list[Turn]:
    system = row.get("systemInstruction", row.get("system_instruction"))
    parts = system.get("parts") if isinstance(system, dict) else system
    opening = [turn("system", parts)] if parts else []
    return opening + [turn(item.get("role", "user"), item.get("parts")) for item in objects(row, "contents")]


def turns_of(row: Any) -> list[Turn]:
    if not isinstance(row, dict):
        raise RowError("a row must be a JSON object")
    if "messages" in row:
        return [turn(item.get("role"), item.get("content")) for item in objects(row, "messages")]
    if "contents" in row:
        return turns_of_contents(row)
    if "prompt" in row and "completion" in row:
        return [turn("user", row["prompt"]), turn("assistant", row["completion"])]
    raise RowError('a row needs "prompt" and "completion", or "messages", or "contents"')


def check_order(turns: list[Turn]) -> None:
    spoken = turns[1:] if turns and turns[0].role == "system" else turns
    expected = ["user" if number % 2 == 0 else "assistant" for number in range(len(spoken))]
    if not spoken or [item.role for item in spoken] != expected:
        raise RowError("turns must alternate between user and assistant, starting with user")


def parse_line(line: str) -> list[Turn]:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise RowError(f"not valid JSON ({error})") from error
    turns = turns_of(row)
    check_order(turns)
    return turns


def read_rows(path: Path, what: str) -> list[list[Turn]]:
    """`what` names the file in messages, for example "training data"."""
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        raise JobError(f"The {what} is not UTF-8 text. Save it as UTF-8 and try again.") from error
    except OSError as error:
        raise JobError(f"The {what} cannot be read: {error.strerror}.", "INTERNAL") from error
    rows = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            rows.append(parse_line(line))
        except RowError as error:
            raise JobError(f"Line {number} of the {what}: {error}.") from error
    if not rows:
        raise JobError(f"The {what} has no rows.")
    return rows
