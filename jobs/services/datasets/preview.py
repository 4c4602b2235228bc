"""Rows of a dataset as they are read in a conversation: from a line on, or those with a text in them."""

import base64
import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from jobs.models import Dataset
from jobs.text.printable import printable

from .file import Line, Lines, Problem, check_line, open_file
from .images import places
from .images.judge import Judge
from .rows import read_json
from .tool_rows import calls

ROWS_A_PAGE = 10
# A search goes through so much of the file at a time; the page offers to go on.
BYTES_SEARCHED = 16 * 1024 * 1024
RAW_SHOWN = 4000
TEXT_SHOWN = 20_000
LARGEST_IMAGE = 512 * 1024
PICTURE = re.compile(r"data:(image/(?:png|jpeg|webp|gif));base64,([A-Za-z0-9+/=\s]+)")


@dataclass(frozen=True)
class Picture:
    """`url` is empty when the picture is not inside the row: it is named and never fetched. `file`: of one that came
    with an upload, as the console keeps it for whoever uploaded it."""

    source: str
    url: str = ""
    file: str = ""


@dataclass(frozen=True)
class Turn:
    role: str
    text: str
    pictures: tuple[Picture, ...] = ()
    left_out: int = 0


@dataclass(frozen=True)
class ShownRow:
    line: int
    turns: tuple[Turn, ...]
    raw: str
    raw_size: int
    problems: tuple[Problem, ...] = ()

    @property
    def is_cut(self) -> bool:
        return self.raw_size > len(self.raw)


@dataclass
class RowPage:
    """`following` is the line from which to go on, 0 at the end; `searched_to` the last line looked at."""

    rows: list[ShownRow] = field(default_factory=list)
    following: int = 0
    searched_to: int = 0


def page_of_rows(
    dataset: Dataset, first: int, query: str = "", *, only_bad: bool = False, most: int = BYTES_SEARCHED
) -> RowPage:
    """`first` is the line to begin with, counted from 1. A search looks at so many bytes at `most`; so does
    `only_bad`, which shows rows with problems alone."""
    wanted, page, read, judge = query.casefold(), RowPage(), 0, Judge(dataset.owner)
    with open_file(dataset) as file:
        for line in islice(Lines(file, None), max(first - 1, 0), None):
            read += len(line.data)
            if len(page.rows) == ROWS_A_PAGE or ((wanted or only_bad) and read > most):
                page.following = line.number
                break
            page.searched_to = line.number
            is_wanted = line.data.strip() and (not wanted or _has(line, wanted))
            if is_wanted and (not only_bad or check_line(line, judge).problems):
                page.rows.append(preview_row(line, judge))
    return page


def raw_row(dataset: Dataset, number: int) -> bytes | None:
    with open_file(dataset) as file:
        line = next(islice(Lines(file, None), max(number - 1, 0), None), None)
    return line.data if line and line.data.strip() else None


def _has(line: Line, wanted: str) -> bool:
    """In the texts of the row when it can be read, else in the line as it stands."""
    text = line.data.decode("utf-8", "replace")
    value, complaint = read_json(text)
    if complaint:
        return wanted in text.casefold()
    return any(wanted in text.casefold() for text in _texts(value))


def _texts(value: Any) -> Iterator[str]:
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, str):
            yield one
        elif isinstance(one, dict | list):
            waiting += one.values() if isinstance(one, dict) else one


def preview_row(line: Line, judge: Judge | None = None) -> ShownRow:
    text = line.data.decode("utf-8", "replace")
    value, complaint = ({}, None) if line.too_long else read_json(text)
    turns = () if complaint else tuple(turns_of(value))
    return ShownRow(line.number, turns, printable(text[:RAW_SHOWN]), len(text), check_line(line, judge).problems)


def turns_of(value: dict[str, Any]) -> Iterator[Turn]:
    """As much as can be read of a row, good or bad."""
    if isinstance(value.get("messages"), list):
        yield from (_turn(one.get("role"), _said(one)) for one in value["messages"] if isinstance(one, dict))
    elif isinstance(value.get("contents"), list):
        system = value.get("systemInstruction")
        if isinstance(system, dict):
            yield _turn("system", system.get("parts"))
        yield from (_turn(one.get("role"), one.get("parts")) for one in value["contents"] if isinstance(one, dict))
    else:
        named = (("user", "prompt"), ("assistant", "completion"))
        yield from (_turn(role, value[name]) for role, name in named if name in value)


def _said(message: dict[str, Any]) -> Any:
    """The content, with the calls of tools where there are any."""
    if "tool_calls" not in message:
        return message.get("content")
    return [message.get("content") or "", calls.read_calls(message, "")[0]]


def _turn(role: Any, content: Any) -> Turn:
    parts = content if isinstance(content, list) else [content]
    texts = [text for part in parts if (text := _text_of(part))]
    pictures = [picture for part in parts if isinstance(part, dict) and (picture := image_of(part))]
    text, known = "\n".join(texts), {"model": "assistant"}.get(str(role), str(role))
    cleaned = "\n".join(map(printable, text[:TEXT_SHOWN].split("\n")))
    return Turn(printable(known[:40]), cleaned, tuple(pictures[:8]), max(len(text) - TEXT_SHOWN, 0))


def _text_of(part: Any) -> str:
    if isinstance(part, dict) and ("functionCall" in part or "functionResponse" in part):
        return calls.read_part(part, "")[0]
    found = part.get("text") if isinstance(part, dict) else part
    return found if isinstance(found, str) else ""


def image_of(part: dict[str, Any]) -> Picture | None:
    link = part.get("image_url")
    inline, file = part.get("inlineData", part.get("inline_data")), part.get("fileData", part.get("file_data"))
    if isinstance(link, dict):
        return _picture(str(link.get("url", "")))
    if isinstance(inline, dict):
        kind = inline.get("mimeType", inline.get("mime_type", ""))
        return _picture(f"data:{kind};base64,{inline.get('data', '')}")
    if isinstance(file, dict):
        return _picture(str(file.get("fileUri", file.get("file_uri", ""))))
    return _picture("") if "image" in str(part.get("type", "")) else None


def _picture(address: str) -> Picture:
    if address.startswith("data:"):
        kind = printable(address[5:].partition(";")[0][:40])
        return Picture(kind, address if len(address) <= LARGEST_IMAGE and _is_image(address) else "")
    return Picture(printable(address[:200]), file=places.file_of(address))


def _is_image(address: str) -> bool:
    found = PICTURE.fullmatch(address)
    try:
        return bool(found) and bool(base64.b64decode(found[2], validate=False)) if found else False
    except binascii.Error:
        return False
