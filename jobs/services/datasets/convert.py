"""Rows of other formats as rows that Vertex AI takes, one at a time; what is wrong is named by the source's field."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import IO, Any

from jobs.models import DatasetShape
from jobs.text.deferred import gettext as _
from jobs.text.printable import printable

from .file import LONGEST_LINE, SNIPPET, Lines, Problem, decode_line
from .rows import Complaint, Row, read_json, read_object
from .shape import elements, is_lines
from .table import Columns, Record, Table, look, records

SPEAKERS = {
    "system": "system", "human": "user", "user": "user", "gpt": "assistant", "assistant": "assistant",
    "model": "assistant", "chatgpt": "assistant", "bot": "assistant",
}  # fmt: skip
TURN = re.compile(r"messages\[(\d+)\](?:\.(role|content))?")


@dataclass(frozen=True)
class Converted:
    """`data` is the new row as it is written, `row` the same as turns; without them there are problems."""

    line: int
    data: bytes = b""
    row: Row | None = None
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True)
class Made:
    """A row before it is checked, and how the fields of a complaint about it are called in the source."""

    value: dict[str, Any]
    source_field: Callable[[str], str] = str


def convert_rows(file: IO[bytes], shape: str, columns: Columns | None = None) -> Iterator[Converted]:
    """Every row of the file. `columns` are those of a table; without them they are guessed."""
    if shape == DatasetShape.TABLE:
        table = look(file)
        return _of_table(file, table, columns or table.columns)
    return _of_json(file, shape)


def first_rows(file: IO[bytes], shape: str, columns: Columns | None, count: int) -> list[Converted]:
    return list(islice(convert_rows(file, shape, columns), count))


def _of_json(file: IO[bytes], shape: str) -> Iterator[Converted]:
    by_line = is_lines(file)
    file.seek(0)
    for line in Lines(file, None) if by_line else elements(file):
        if by_line and not line.data.strip():
            continue
        if line.too_long:
            yield _bad(line.number, [_too_long()], "")
            continue
        text = decode_line(line)
        value, problem = read_json(text)
        made = problem or MAKERS[shape](value)
        yield _check_row(line.number, made, text)


def _of_table(file: IO[bytes], table: Table, columns: Columns) -> Iterator[Converted]:
    for number, record in enumerate(records(file, table.delimiter)):
        if number == 0 and columns.has_header:
            continue
        made = record.complaint or _of_record(record, table, columns)
        yield _check_row(record.line, made, table.delimiter.join(record.fields)[: 2 * SNIPPET])


def _check_row(line: int, made: "Made | Complaint", text: str) -> Converted:
    if isinstance(made, Complaint):
        return _bad(line, [made], text)
    try:
        data = _dump_row(made.value)
    except RecursionError:
        return _bad(line, [Complaint("", _("The row is nested too deeply."), _("Write one plain JSON object."))], text)
    row, complaints = read_object(made.value)
    if row is None:
        renamed = [Complaint(made.source_field(one.field), one.problem, one.remedy) for one in complaints]
        return _bad(line, renamed, text)
    return Converted(line, data, row) if len(data) < LONGEST_LINE else _bad(line, [_too_long()], "")


def _bad(line: int, complaints: list[Complaint], text: str) -> Converted:
    snippet = printable(" ".join(text[: 4 * SNIPPET].split()))[:SNIPPET]
    return Converted(line, problems=tuple(Problem(line, c.field, c.problem, c.remedy, snippet) for c in complaints))


def _too_long() -> Complaint:
    return Complaint("", _("The row is longer than 4 MB."), _("Split the row into shorter ones."))


def _of_sharegpt(value: dict[str, Any]) -> Made | Complaint:
    talk = value.get("conversations")
    if not isinstance(talk, list) or not talk:
        remedy = _('Write a list of turns, such as {"from": "human", "value": "…"}.')
        return Complaint("conversations", _("This is not a list of turns."), remedy)
    messages = []
    if isinstance(value.get("system"), str) and value["system"].strip():
        messages.append({"role": "system", "content": value["system"]})
    added = len(messages)
    for index, turn in enumerate(talk):
        if not isinstance(turn, dict):
            remedy = _("Write an object with from and value.")
            return Complaint(f"conversations[{index}]", _("This is not a turn."), remedy)
        speaker = turn.get("from", turn.get("role"))
        if (role := SPEAKERS.get(speaker) if isinstance(speaker, str) else None) is None:
            return _unknown_speaker(index, speaker)
        messages.append({"role": role, "content": turn.get("value", turn.get("content"))})
    return Made({"messages": messages}, lambda field: _sharegpt_field(field, added))


def _unknown_speaker(index: int, speaker: Any) -> Complaint:
    shown = printable(str(speaker)[:40])
    problem = _("The speaker %s can't be converted.") % shown if speaker is not None else _("The speaker is missing.")
    remedy = _("Use human, gpt, or system. Tool calls are not supported.")
    return Complaint(f"conversations[{index}].from", problem, remedy)


def _sharegpt_field(field: str, added: int) -> str:
    """`messages[2].content` of the new row is `conversations[1].value` when a system turn was put before."""
    found = TURN.match(field)
    if found is None:
        return "conversations"
    index = int(found[1]) - added
    part = {"role": ".from", "content": ".value"}.get(found[2], "")
    return f"conversations[{index}]{part}" if index >= 0 else "system"


def _of_alpaca(value: dict[str, Any]) -> Made:
    question, more = value.get("instruction"), value.get("input")
    if isinstance(question, str) and isinstance(more, str) and more.strip():
        question = f"{question}\n\n{more}"
    answer, system = value.get("output"), value.get("system")
    named = {"prompt": "instruction", "completion": "output", **_turn_names("system", "instruction", "output")}
    return Made(_row(question, answer, system), lambda field: named.get(field, field))


def _of_record(record: Record, table: Table, columns: Columns) -> Made | Complaint:
    width = len(record.fields)
    needed = max(columns.prompt, columns.answer)
    if columns.prompt == columns.answer:
        problem, remedy = _("Prompt and answer are the same column."), _("Use a file with a column for each.")
        return Complaint(column_name(table, columns, needed), problem, remedy)
    if width <= needed:
        remedy = _("Add what is missing, or look for a double quote that is not closed.")
        return Complaint(column_name(table, columns, needed), _("The row ends before this column."), remedy)
    system = record.fields[columns.system] if 0 <= columns.system < width else ""
    names = [column_name(table, columns, place) for place in (columns.system, columns.prompt, columns.answer)]
    named = {"prompt": names[1], "completion": names[2], **_turn_names(*names)}
    value = _row(record.fields[columns.prompt], record.fields[columns.answer], system)
    return Made(value, lambda field: named.get(field, field))


def _turn_names(*names: str) -> dict[str, str]:
    return {f"messages[{index}].content": name for index, name in enumerate(names)}


def _row(question: Any, answer: Any, system: Any) -> dict[str, Any]:
    if not isinstance(system, str) or not system.strip():
        return {"prompt": question, "completion": answer}
    turns = (("system", system), ("user", question), ("assistant", answer))
    return {"messages": [{"role": role, "content": text} for role, text in turns]}


def column_name(table: Table, columns: Columns, place: int) -> str:
    """As the header calls it, or by its number."""
    if columns.has_header and 0 <= place < len(table.names) and table.names[place]:
        return printable(table.names[place])
    return _("column %d") % (place + 1)


MAKERS: dict[str, Callable[[dict[str, Any]], Made | Complaint]] = {
    DatasetShape.SHAREGPT: _of_sharegpt, DatasetShape.ALPACA: _of_alpaca, DatasetShape.LIST: Made,
}  # fmt: skip


def _dump_row(value: dict[str, Any]) -> bytes:
    """A line. Half a surrogate pair, in a field that nobody reads, can only be written as an escape."""
    try:
        return json.dumps(value, ensure_ascii=False).encode() + b"\n"
    except UnicodeEncodeError:
        return json.dumps(value).encode() + b"\n"
