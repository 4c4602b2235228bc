"""Rows as CSV, written while they are read."""

import csv
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


class Echo:
    def write(self, text: str) -> str:
        return text


def lines(head: Sequence[str], rows: Iterable[Iterable[Any]]) -> Iterator[str]:
    """With the mark by which spreadsheets know UTF-8."""
    write = csv.writer(Echo()).writerow
    yield "\ufeff"
    yield str(write(head))
    for row in rows:
        yield str(write(map(cell, row)))


def cell(value: Any) -> Any:
    """A spreadsheet runs a text that starts like a formula; with an apostrophe it is a text."""
    if isinstance(value, str):
        return f"'{value}" if value.startswith(FORMULA_STARTS) else value
    if hasattr(value, "isoformat"):
        return value.isoformat(timespec="seconds")
    return value
