"""Pages of a long list in any of its orders, by key: the last page costs what the first one costs.

Each order is `column, clock, id`; where a list may be long, each has its index. A page is put together from the ranges
that follow each other in that index (the rest of the same value, the values after it, rows without a value), because a
database seeks the start of a range and does not seek the start of an OR.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from django.db.models import Q, QuerySet


@dataclass(frozen=True)
class Column:
    """`kind`: what its values are. `optional`: rows without a value come last, whichever the direction.

    `largest_first`: what a person wants to see when the list is first sorted by it.
    """

    name: str
    kind: type
    optional: bool = False
    largest_first: bool = False


class Key(NamedTuple):
    """Where a row stands: what comes after it is another page."""

    value: Any
    moment: datetime
    id: UUID


@dataclass(frozen=True)
class Order:
    """By `column`, equal values by `clock`; without a column by the clock alone."""

    column: Column | None = None
    descending: bool = True
    clock: str = "created_at"

    @property
    def newest_first(self) -> bool:
        """The index is read backwards for descending values, so equal ones come the other way round, too."""
        return self.descending == (self.column is None)

    def key_of(self, row: Any) -> Key:
        value = getattr(row, self.column.name) if self.column else None
        return Key(value, getattr(row, self.clock), row.pk)


@dataclass(frozen=True)
class Cut:
    """`last`: the key of the last row, None when there are no more rows."""

    rows: list[Any]
    last: Key | None


def cut(rows: "QuerySet[Any]", order: Order, after: Key | None, size: int) -> Cut:
    """The next `size` rows."""
    found: list[Any] = []
    for part in _parts(rows, order, after):
        found += part[: size + 1 - len(found)]
        if len(found) > size:
            return Cut(found[:size], order.key_of(found[size - 1]))
    return Cut(found, None)


def in_order(rows: "QuerySet[Any]", order: Order, size: int) -> Iterator[Any]:
    """All rows, `size` a query."""
    after: Key | None = None
    while True:
        found = cut(rows, order, after, size)
        yield from found.rows
        after = found.last
        if after is None:
            return


def _parts(rows: "QuerySet[Any]", order: Order, after: Key | None) -> Iterator["QuerySet[Any]"]:
    column, clock = order.column, order.clock
    if column is None:
        yield _further(rows, clock, after, newest_first=order.newest_first)
        return
    known = rows.filter(**{f"{column.name}__isnull": False}) if column.optional else rows
    known = known.order_by(f"{'-' if order.descending else ''}{column.name}", *_tail(clock, order.newest_first))
    if after is None:
        yield known
    elif after.value is not None:
        same = rows.filter(**{column.name: after.value})
        yield _further(same, clock, after, newest_first=order.newest_first)
        yield known.filter(**{f"{column.name}__{'lt' if order.descending else 'gt'}": after.value})
    if column.optional:
        unknown = rows.filter(**{f"{column.name}__isnull": True})
        yield _further(unknown, clock, after if after and after.value is None else None, newest_first=True)


def _further(rows: "QuerySet[Any]", clock: str, after: Key | None, *, newest_first: bool) -> "QuerySet[Any]":
    rows = rows.order_by(*_tail(clock, newest_first))
    if after is None:
        return rows
    way = "lt" if newest_first else "gt"
    beyond = Q(**{f"{clock}__{way}": after.moment}) | Q(**{f"id__{way}": after.id})
    return rows.filter(beyond, **{f"{clock}__{way}e": after.moment})


def _tail(clock: str, newest_first: bool) -> tuple[str, str]:
    return (f"-{clock}", "-id") if newest_first else (clock, "id")
