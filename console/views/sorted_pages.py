"""Pages of a list by key in an order that the visitor chose: page 1,000 costs what page 1 costs."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from django.db.models import Model, Q, QuerySet
from django.http import QueryDict

PAGE_SIZE = 50
NEWEST = "-created"


@dataclass(frozen=True)
class Header:
    """A column that can be sorted by: where its heading leads, and `ascending`, `descending` or nothing."""

    url: str
    aria: str


@dataclass(frozen=True)
class SortedPage:
    rows: list[Any]
    older: str
    first: str
    is_first: bool
    headers: dict[str, Header]


def sorted_page(
    rows: "QuerySet[Any]", query: QueryDict, columns: Mapping[str, str], size: int = PAGE_SIZE
) -> SortedPage:
    """`columns` maps the words of an address to columns, text or times; `created` is among them. What cannot be read
    in the address means the newest first, from the beginning."""
    chosen = query.get("sort", NEWEST)
    key, down = chosen.removeprefix("-"), chosen.startswith("-")
    if key not in columns:
        key, down, chosen = "created", True, NEWEST
    column, sign = columns[key], "-" if down else ""
    after = _parse(query.get("after", ""), is_time=column.endswith("_at"))
    if after:
        rows = rows.filter(_beyond(column, down, *after))
    found = list(rows.order_by(f"{sign}{column}", f"{sign}id")[: size + 1])
    older = _url(query, after=_key(found[size - 1], column)) if len(found) > size else ""
    headers = {name: _header(query, name, chosen) for name in columns}
    return SortedPage(found[:size], older, _url(query), after is None, headers)


def _beyond(column: str, down: bool, value: Any, pk: uuid.UUID) -> Q:
    than = "lt" if down else "gt"
    return Q(**{f"{column}__{than}": value}) | Q(**{column: value, f"id__{than}": pk})


def _parse(text: str, *, is_time: bool) -> tuple[Any, uuid.UUID] | None:
    value, _, pk = text.rpartition("_")
    if "\x00" in value:
        return None
    try:
        return (_moment(value) if is_time else value), uuid.UUID(pk)
    except (ValueError, OverflowError):
        return None


def _moment(text: str) -> datetime:
    parsed = datetime.fromisoformat(text)
    if parsed.tzinfo is None:
        raise ValueError(text)
    return parsed.astimezone(UTC)


def _key(row: Model, column: str) -> str:
    value = getattr(row, column)
    return f"{value.isoformat() if isinstance(value, datetime) else value}_{row.pk}"


def _header(query: QueryDict, name: str, chosen: str) -> Header:
    """The times begin with the newest, the words with A; a second click turns the order round."""
    turned = {name: f"-{name}", f"-{name}": name}.get(chosen)
    first = f"-{name}" if name in {"created", "updated"} else name
    aria = {name: "ascending", f"-{name}": "descending"}.get(chosen, "")
    return Header(_url(query, sort=turned or first), aria)


def _url(query: QueryDict, **changed: str) -> str:
    kept = [(name, value) for name, value in query.items() if name not in {"after", *changed}]
    return f"?{urlencode([*kept, *changed.items()])}"
