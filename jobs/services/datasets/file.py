"""Reads a JSONL file in the memory of one line, and says what is wrong in words that help."""

import hashlib
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO, Any

from jobs.errors import DatasetRejected, NotAllowedNow
from jobs.files import store
from jobs.models import ROW_LIMITS, Dataset, DatasetFormat
from jobs.text.deferred import gettext as _, join, ngettext
from jobs.text.printable import printable

from .images import places
from .measure import Measure, Reckoning
from .policies import add_again
from .rows import Complaint, Judge, Row, parse

LONGEST_LINE = 4 * 1024 * 1024
CHUNK = 1024 * 1024
SNIPPET = 120
PROBLEMS_KEPT = 50
PREVIEW_ROWS = 5
PREVIEW_CHARACTERS = 2000
# More of them than rows, and so many, are no file of rows: each costs as much time as a short row.
BLANK_LINES_READ = 100_000
UTF8_BOM, UTF16_BOMS = b"\xef\xbb\xbf", (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True)
class Line:
    """`data` without its line end; cut to `LONGEST_LINE` bytes when `too_long`."""

    number: int
    data: bytes
    too_long: bool = False


@dataclass(frozen=True)
class Problem:
    line: int
    field: str
    problem: str
    remedy: str
    snippet: str

    def as_dict(self) -> dict[str, Any]:
        return {
            "line": self.line, "field": self.field, "problem": self.problem, "remedy": self.remedy,
            "snippet": self.snippet,
        }  # fmt: skip


@dataclass(frozen=True)
class Checked:
    row: Row | None = None
    problems: tuple[Problem, ...] = ()


class Lines:
    """The lines of a file, its hash and what was tolerated on the way. `limit` None: as large as it is."""

    def __init__(self, file: IO[bytes], limit: int | None) -> None:
        self._file, self._limit = file, limit
        self._hash = hashlib.sha256()
        self._size = 0
        self.notes: list[str] = []

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()

    def __iter__(self) -> Iterator[Line]:
        number = blank = 0
        while raw := self._read():
            number += 1
            if raw.isspace():
                blank += 1
                _worth_reading_on(number, blank)
            too_long = len(raw) > LONGEST_LINE and not raw.endswith(b"\n")
            if too_long:
                self._skip_line()
            data = raw.rstrip(b"\r\n")
            if number == 1:
                data = self._without_mark(data)
            yield Line(number, data[:LONGEST_LINE], too_long)
        if not self._size:
            raise DatasetRejected(_("The file is empty. Write one JSON object per line."))

    def _read(self) -> bytes:
        raw = self._file.readline(LONGEST_LINE + 1)
        self._hash.update(raw)
        self._size += len(raw)
        if self._limit is not None and self._size > self._limit:
            limit = self._limit // (1024 * 1024)
            raise DatasetRejected(_("The file is larger than %d MB. Use fewer rows.") % limit)
        return raw

    def _skip_line(self) -> None:
        while (raw := self._read()) and not raw.endswith(b"\n"):
            pass

    def _without_mark(self, data: bytes) -> bytes:
        if data.startswith(UTF16_BOMS):
            raise DatasetRejected(_("The file is in UTF-16. Save it as UTF-8, then try again."))
        if data.startswith(UTF8_BOM):
            self.notes.append(_("The byte order mark at the start was removed."))
            return data.removeprefix(UTF8_BOM)
        return data


def _worth_reading_on(number: int, blank: int) -> None:
    if blank > BLANK_LINES_READ and blank > number - blank:
        raise DatasetRejected(
            _("Most of the first %d lines are blank, so the rest was not read. Remove the blank lines.") % number
        )


def copy_file(file: IO[bytes], copy: IO[bytes], limit: int) -> tuple[str, int]:
    """The SHA-256 and the number of bytes."""
    digest, size = hashlib.sha256(), 0
    while chunk := file.read(CHUNK):
        digest.update(chunk)
        size += len(chunk)
        if size > limit:
            raise DatasetRejected(_("The file is larger than %d MB. Use fewer rows.") % (limit // (1024 * 1024)))
        copy.write(chunk)
    return digest.hexdigest(), size


def measure_size(file: IO[bytes]) -> int:
    """In bytes. The file is at its start again afterwards."""
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    return size


def open_file(dataset: Dataset) -> IO[bytes]:
    try:
        return store.open_file(dataset.stored_name)
    except FileNotFoundError as error:
        raise NotAllowedNow(why_gone(dataset)) from error


def why_gone(dataset: Dataset) -> str:
    return join(_("The file of the dataset %s is missing from this server.") % dataset.name, add_again(dataset))


def check_line(line: Line, judge: Judge | None = None) -> Checked:
    """`judge`: of the images that it names; without one only its form is looked at."""
    if line.too_long:
        complaint = Complaint("", _("The line is longer than 4 MB."), _("Split the row into shorter ones."))
        return _bad(line, [complaint], line.data[:SNIPPET].decode("utf-8", "replace"))
    text = decode_line(line)
    row, complaints = parse(text, judge)
    return _bad(line, complaints, text) if row is None else Checked(row)


def decode_line(line: Line) -> str:
    try:
        return line.data.decode("utf-8")
    except UnicodeDecodeError as error:
        words = {"line": line.number, "byte": error.start + 1, "value": f"0x{line.data[error.start]:02X}"}
        raise DatasetRejected(
            _(
                "The file is not UTF-8: line %(line)d, byte %(byte)d of it, is %(value)s. "
                "Save it as UTF-8, then try again."
            ) % words
        ) from error  # fmt: skip


def _bad(line: Line, complaints: list[Complaint], text: str) -> Checked:
    snippet = printable(text[:SNIPPET])
    return Checked(None, tuple(Problem(line.number, one.field, one.problem, one.remedy, snippet) for one in complaints))


@dataclass
class Report:
    """`files`: the images of the owner that rows name."""

    owner_id: int
    judge: Judge
    rows: int = 0
    valid_rows: int = 0
    blank_lines: int = 0
    characters: int = 0
    image_count: int = 0
    tool_rows: int = 0
    files: set[str] = field(default_factory=set)
    rows_over: Counter[str] = field(default_factory=Counter)
    formats: set[str] = field(default_factory=set)
    problems: list[dict[str, Any]] = field(default_factory=list)
    preview: list[dict[str, Any]] = field(default_factory=list)
    measure: Measure = field(default_factory=Measure)
    reckoning: Reckoning = field(default_factory=Reckoning)
    repeated: int = 0
    first_repeated: tuple[int, str] = (0, "")

    def add(self, line: Line) -> None:
        if not line.data.strip():
            decode_line(line)
            self.blank_lines += 1
            return
        self.rows += 1
        checked = check_line(line, self.judge)
        if checked.row is None:
            room = PROBLEMS_KEPT - len(self.problems)
            self.problems += [problem.as_dict() for problem in checked.problems[:room]]
        else:
            self._add_row(line.number, checked.row)

    def _add_row(self, number: int, row: Row) -> None:
        self.valid_rows += 1
        self.formats.add(row.format)
        self.characters += row.characters
        self.image_count += len(row.images)
        self.tool_rows += row.uses_tools
        self.files.update(filter(None, (places.own_file(self.owner_id, image.address) for image in row.images)))
        tokens = self.reckoning.add(row.turns, len(row.images))
        self.rows_over.update(str(limit) for limit in ROW_LIMITS if tokens > limit)
        self.measure.add(number, self.rows, tokens, row.characters, row.answer_characters, len(row.images))
        if row.repeated:
            self.repeated += 1
            self.first_repeated = self.first_repeated if self.repeated > 1 else (number, row.repeated)
        if len(self.preview) < PREVIEW_ROWS:
            turns = [{"role": role, "text": text[:PREVIEW_CHARACTERS]} for role, text in row.turns]
            shown = {"images": len(row.images)} if row.images else {}
            self.preview.append({"line": number, "turns": turns, **shown})

    @property
    def invalid_rows(self) -> int:
        return self.rows - self.valid_rows

    @property
    def tokens(self) -> int:
        """With the chat template, as a training counts them."""
        return self.reckoning.tokens

    @property
    def format(self) -> str:
        return DatasetFormat.MIXED if len(self.formats) > 1 else next(iter(self.formats), "")

    @property
    def notes(self) -> list[str]:
        notes = []
        if blank := self.blank_lines:
            notes.append(ngettext("%d blank line was skipped.", "%d blank lines were skipped.", blank) % blank)
        if self.repeated:
            notes.append(self._repetition_note())
        return notes

    def _repetition_note(self) -> str:
        line, name = self.first_repeated
        words = {"line": line, "field": name, "count": self.repeated}
        return (
            ngettext(
                "%(count)d row has a duplicate field: %(field)s in line %(line)d. The last value is used.",
                "%(count)d rows have a duplicate field. The first is %(field)s in line %(line)d. The last value is"
                " used.",
                self.repeated,
            )
            % words
        )
