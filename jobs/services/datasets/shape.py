"""What kind of file this is, by its beginning: rows that can be used, or something that has to be converted."""

import math
import re
from collections.abc import Iterator
from typing import IO

from jobs.errors import DatasetRejected
from jobs.models import DatasetShape
from jobs.text.deferred import gettext as _

from .file import LONGEST_LINE, Line, decode_line
from .rows import READERS, read_json
from .table import TABLE_ENDINGS, look

CHUNK = 256 * 1024
HEAD = 4096
MAX_NULS = 0.1
# A whole text, a bracket, or the quote of a text whose end has not been read yet. Possessive: nothing is tried twice.
PIECE = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[{}"]', re.DOTALL)


def shape_of(file: IO[bytes], file_name: str) -> str:
    """Empty for lines that can be checked as they are; the file is at its start again afterwards."""
    try:
        head = file.read(HEAD)
        if head.count(0) > len(head) * MAX_NULS and not head.startswith((b"\xff\xfe", b"\xfe\xff")):
            raise DatasetRejected(_("The file is not text, or it is in UTF-16. Save it as UTF-8, then try again."))
        file.seek(0)
        return _shape(file, head.removeprefix(b"\xef\xbb\xbf").lstrip(), file_name)
    finally:
        file.seek(0)


def _shape(file: IO[bytes], head: bytes, file_name: str) -> str:
    if head.startswith((b"[", b"{")):
        return _shape_of_json(file)
    if file_name.lower().endswith(TABLE_ENDINGS):
        return DatasetShape.TABLE
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return ""
    table = look(file)
    return DatasetShape.TABLE if table.is_certain else ""


def _shape_of_json(file: IO[bytes]) -> str:
    first = next(elements(file, LONGEST_LINE + CHUNK), None)
    if first is None or first.too_long:
        return ""
    value, complaint = read_json(decode_line(first))
    if complaint:
        return ""
    if isinstance(value.get("conversations"), list):
        return DatasetShape.SHAREGPT
    if any(name in value for name in READERS):
        file.seek(0)
        return "" if is_lines(file) else DatasetShape.LIST
    return DatasetShape.ALPACA if "instruction" in value and "output" in value else ""


def is_lines(file: IO[bytes]) -> bool:
    """Whether the first line that is not blank is an object by itself."""
    while line := file.readline(LONGEST_LINE):
        text = line.removeprefix(b"\xef\xbb\xbf").strip()
        if text:
            return text.startswith(b"{") and read_json(text.decode("utf-8", "replace"))[1] is None
    return False


def elements(
    file: IO[bytes], most: float = math.inf, *, chunk_size: int = CHUNK, longest: int = LONGEST_LINE
) -> Iterator[Line]:
    """The objects of a JSON list, or objects that follow one another, with the lines they begin on. `most`: bytes.

    Reads on whatever stands between them, and holds no more than one: of one that is longer than `longest` only the
    brackets are counted.
    """
    scanner, size = Scanner(longest), 0
    while size < most and (chunk := file.read(chunk_size)):
        size += len(chunk)
        yield from scanner.feed(chunk)


class Scanner:
    def __init__(self, longest: int = LONGEST_LINE) -> None:
        self.longest = longest
        self.data = b""
        self.at = self.counted = 0
        self.line = self.begun = 1
        self.start: int | None = None
        self.depth = 0
        self.cut = False

    def feed(self, chunk: bytes) -> Iterator[Line]:
        self.data += chunk
        at = len(self.data)
        for found in PIECE.finditer(self.data, self.at):
            if found[0] == b'"':
                at = found.start()
                break
            if found[0] == b"{":
                self._open_bracket(found.start())
            elif found[0] == b"}" and self.depth:
                self.depth -= 1
                if not self.depth:
                    yield self._close_row(found.end())
        self._forget(at)

    def _open_bracket(self, at: int) -> None:
        if not self.depth:
            self._count_to(at)
            self.start, self.cut, self.begun = at, False, self.line
        self.depth += 1

    def _close_row(self, end: int) -> Line:
        data = b"" if self.cut else self.data[self.start : end]
        self.start = None
        return Line(self.begun, data, self.cut or len(data) > self.longest)

    def _count_to(self, at: int) -> None:
        self.line += self.data.count(b"\n", self.counted, at)
        self.counted = at

    def _forget(self, at: int) -> None:
        """What no open object needs; the inside of an endless text, but not whether its next character is escaped."""
        if self.start is not None and len(self.data) - self.start > self.longest:
            self.start, self.cut = None, True
        kept = at if self.start is None else self.start
        self._count_to(kept)
        self.start = None if self.start is None else 0
        self.data, self.at, self.counted = self.data[kept:], at - kept, self.counted - kept
        if len(self.data) - self.at > self.longest:
            self._count_to(len(self.data))
            slashes = len(self.data) - len(self.data.rstrip(b"\\"))
            self.data, self.at, self.counted = b'"' + b"\\" * (slashes % 2), 0, 0
