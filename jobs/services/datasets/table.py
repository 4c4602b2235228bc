"""Reads CSV and TSV in the memory of one record: delimiter and header guessed, line breaks in quotes understood."""

import csv
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import IO

from jobs.errors import DatasetRejected
from jobs.text.deferred import gettext as _

from .file import LONGEST_LINE, Lines, decode_line
from .rows import Complaint

TABLE_ENDINGS = (".csv", ".tsv", ".tab")
DELIMITERS = ",;\t|"
SNIFFED = 2048
MAX_COLUMNS = 200
LONGEST_NAME = 80
# A quote that is never closed makes one field of the rest of the file.
csv.field_size_limit(LONGEST_LINE)

NAMES = {
    "prompt": ("prompt", "question", "instruction", "input", "user", "query", "request", "human", "text", "질문"),
    "answer": ("completion", "answer", "response", "output", "assistant", "reply", "target", "gpt", "label", "답변"),
    "system": ("system", "system_prompt", "system prompt", "systeminstruction", "system_instruction"),
}  # fmt: skip


@dataclass(frozen=True)
class Columns:
    """Where in a record the texts stand, counted from 0; -1 is nowhere."""

    prompt: int
    answer: int
    system: int = -1
    has_header: bool = True


@dataclass(frozen=True)
class Table:
    """`is_certain`: the names of the columns say by themselves that these are questions and answers."""

    delimiter: str
    names: tuple[str, ...]
    columns: Columns
    is_certain: bool


@dataclass(frozen=True)
class Record:
    line: int
    fields: tuple[str, ...] = ()
    complaint: Complaint | None = None


class TooLong(Exception):
    pass


class TextLines:
    """The lines as text, for a reader that asks for more while a quote is open; the count is reset a record."""

    def __init__(self, file: IO[bytes]) -> None:
        self._lines = iter(Lines(file, None))
        self.number = self.size = 0

    def __iter__(self) -> "TextLines":
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        self.number = line.number
        self.size += len(line.data) + 1
        if line.too_long or self.size > LONGEST_LINE:
            raise TooLong
        return decode_line(line) + "\n"


def records(file: IO[bytes], delimiter: str) -> Iterator[Record]:
    lines = TextLines(file)
    reader = csv.reader(lines, delimiter=delimiter)
    while True:
        begun, lines.size = lines.number + 1, 0
        try:
            fields = next(reader)
        except StopIteration:
            return
        except TooLong:
            raise endless_row(begun) from None
        except csv.Error as error:
            if "limit" in str(error):
                raise endless_row(begun) from error
            yield Record(begun, complaint=_unreadable())
            continue
        if any(fields):
            yield Record(begun, tuple(fields))


def endless_row(line: int) -> DatasetRejected:
    """Everything after a quote that is not closed would be read wrongly."""
    return DatasetRejected(
        _(
            "The row that begins in line %d does not end within 4 MB. Close the double quote that is open there, "
            "or shorten the row, then try again."
        )
        % line
    )


def _unreadable() -> Complaint:
    remedy = _("Put text with line breaks in double quotes, and save the file with standard line endings.")
    return Complaint("", _("The row has a line break outside of quotes."), remedy)


def look(file: IO[bytes]) -> Table:
    """By the first lines; the file is at its start again afterwards."""
    head = file.read(SNIFFED)
    file.seek(0)
    delimiter = _delimiter(head.decode("utf-8", "replace").removeprefix("\ufeff"))
    first = next((record.fields for record in islice(records(file, delimiter), 1)), ())
    file.seek(0)
    names = tuple(name.strip()[:LONGEST_NAME] for name in first[:MAX_COLUMNS])
    found = {role: _find_column(names, role) for role in NAMES}
    certain = min(found["prompt"], found["answer"]) >= 0
    has_header = certain or (len(set(names)) == len(names) and all(0 < len(name) < 40 for name in names))
    columns = Columns(*_places(found, len(names)), system=found["system"], has_header=has_header)
    return Table(delimiter, names, columns, certain)


def _delimiter(head: str) -> str:
    """What the csv module thinks, if the first line has it; else what divides that line into most parts."""
    first = head.lstrip("\r\n").partition("\n")[0]
    with suppress(csv.Error):
        sniffed = csv.Sniffer().sniff(head, DELIMITERS).delimiter
        if sniffed in first:
            return sniffed
    return max(DELIMITERS, key=first.count)


def _find_column(names: tuple[str, ...], role: str) -> int:
    known = [name.casefold() for name in names]
    return next((known.index(name) for name in NAMES[role] if name in known), -1)


def _places(found: dict[str, int], width: int) -> tuple[int, int]:
    """Of prompt and answer: by name, else the first columns that are left."""
    free = [column for column in range(width) if column not in found.values()]
    prompt = found["prompt"] if found["prompt"] >= 0 else (free.pop(0) if free else 0)
    answer = found["answer"] if found["answer"] >= 0 else (free.pop(0) if free else max(width - 1, 0))
    return prompt, answer
