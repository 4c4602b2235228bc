"""Pages of a long list in any of its orders, by key: the last page costs what the first one costs.

Each order is `column, created_at, id`, and each has its index. A page is put together from the ranges that follow each
other in that index (the rest of the same value, the values after it, rows without a value), because a database seeks
the start of a range and does not seek the start of an OR.
"""

import json
import math
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.db.models import Q, QuerySet

NEWEST_FIRST = ("-created_at", "-id")
OLDEST_FIRST = ("created_at", "id")
Key = tuple[Any, datetime, uuid.UUID]


@dataclass(frozen=True)
class Column:
    """`kind`: what its values are. `optional` rows without a value come last, whichever the direction."""

    name: str
    kind: type
    optional: bool = False


@dataclass(frozen=True)
class Sort:
    """`column` None: by creation alone."""

    key: str
    column: Column | None
    descending: bool

    @property
    def text(self) -> str:
        return f"-{self.key}" if self.descending else self.key

    @property
    def tail(self) -> tuple[str, str]:
        """The index is read backwards for descending values, so equal ones come the other way round, too."""
        newest_first = self.descending == (self.column is None)
        return NEWEST_FIRST if newest_first else OLDEST_FIRST


@dataclass(frozen=True)
class SortedPage:
    """`after`: the key of the next page, empty on the last one."""

    rows: list[Any]
    after: str
    is_first: bool


def chosen(text: str, columns: dict[str, Column | None], default: str) -> Sort:
    key = text.removeprefix("-")
    text = text if key in columns else default
    key = text.removeprefix("-")
    return Sort(key, columns[key], descending=text.startswith("-"))


def page(rows: "QuerySet[Any]", sort: Sort, after: str, size: int) -> SortedPage:
    """A key that cannot be read means the first page."""
    key = parse(after, sort.column)
    found: list[Any] = []
    for part in parts(rows, sort, key):
        found += part[: size + 1 - len(found)]
        if len(found) > size:
            return SortedPage(found[:size], written(found[size - 1], sort.column), is_first=key is None)
    return SortedPage(found, "", is_first=key is None)


def in_order(rows: "QuerySet[Any]", sort: Sort, size: int) -> Iterator[Any]:
    """All rows, a page at a time."""
    after, more = "", True
    while more:
        found = page(rows, sort, after, size)
        yield from found.rows
        after, more = found.after, bool(found.after)


def parts(rows: "QuerySet[Any]", sort: Sort, key: Key | None) -> Iterator["QuerySet[Any]"]:
    if sort.column is None:
        yield (rows.filter(beyond(key, sort.tail)) if key else rows).order_by(*sort.tail)
        return
    name = sort.column.name
    known = rows.filter(**{f"{name}__isnull": False}) if sort.column.optional else rows
    ordered = (f"-{name}" if sort.descending else name, *sort.tail)
    if key is None:
        yield known.order_by(*ordered)
    elif key[0] is not None:
        yield rows.filter(beyond(key, sort.tail), **{name: key[0]}).order_by(*sort.tail)
        yield known.filter(**{f"{name}__{'lt' if sort.descending else 'gt'}": key[0]}).order_by(*ordered)
    if sort.column.optional:
        unknown = rows.filter(**{f"{name}__isnull": True}).order_by(*NEWEST_FIRST)
        yield unknown.filter(beyond(key, NEWEST_FIRST)) if key and key[0] is None else unknown


def beyond(key: Key, tail: tuple[str, str]) -> Q:
    _value, moment, pk = key
    way = "lt" if tail == NEWEST_FIRST else "gt"
    further = Q(**{f"created_at__{way}": moment}) | Q(**{f"id__{way}": pk})
    return Q(**{f"created_at__{way}e": moment}) & further


def written(row: Any, column: Column | None) -> str:
    value = getattr(row, column.name) if column else None
    return json.dumps([value, row.created_at.isoformat(), str(row.pk)], separators=(",", ":"), ensure_ascii=False)


def parse(text: str, column: Column | None) -> Key | None:
    try:
        value, moment, pk = json.loads(text)
        parsed = datetime.fromisoformat(moment)
        key = (value, parsed.astimezone(UTC), uuid.UUID(pk)) if parsed.tzinfo else None
    except (ValueError, TypeError, AttributeError, OverflowError, RecursionError):
        return None
    return key if key and fits(value, column) else None


def fits(value: Any, column: Column | None) -> bool:
    if column is None or value is None:
        return value is None and (column is None or column.optional)
    if column.kind is str:
        return isinstance(value, str) and "\x00" not in value
    return isinstance(value, float | int) and math.isfinite(value) and (isinstance(value, float) or abs(value) < 2**31)
