"""A list in the order that its address asks for, a page at a time: `?sort=-name&after=<key>`."""

import json
import math
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.db.models import QuerySet
from django.http import QueryDict
from django.utils.functional import Promise

from jobs.models.keyset import Column, Key, Order, cut

PAGE_SIZE = 50
NEWEST = "-created"
CREATED = Column("created_at", datetime, largest_first=True)
LARGEST = 2**63
Address = Callable[..., str]


@dataclass(frozen=True)
class Head:
    """A column of a table: the word for it in an address, its heading, and what it is sorted by if it can be."""

    key: str
    label: str | Promise
    column: Column | None = None
    is_number: bool = False
    hint: str | Promise = ""


@dataclass(frozen=True)
class Heading:
    """`url` sorts by the column, the other way round when it is sorted already, as `order` says: `ascending`,
    `descending` or nothing."""

    head: Head
    url: str = ""
    order: str = ""


@dataclass(frozen=True)
class Sort:
    """`key` is the word of the address."""

    key: str
    order: Order

    @property
    def text(self) -> str:
        return f"-{self.key}" if self.order.descending else self.key


@dataclass(frozen=True)
class Page:
    """`next_url` is empty on the last page; `is_first`: nothing stands before it."""

    rows: list[Any]
    headings: list[Heading]
    next_url: str
    first_url: str
    is_first: bool


def parse_sort(text: str, heads: Iterable[Head]) -> Sort:
    """By creation, or by a column of the table; what is neither means the newest first."""
    columns = {"created": CREATED} | {head.key: head.column for head in heads if head.column}
    key = text.removeprefix("-")
    if key not in columns:
        text, key = NEWEST, NEWEST[1:]
    column = columns[key]
    return Sort(key, Order(None if column == CREATED else column, descending=text.startswith("-")))


def paginate(rows: "QuerySet[Any]", query: QueryDict, heads: Collection[Head], size: int = PAGE_SIZE) -> Page:
    """As the parameters of the request say."""
    sort = parse_sort(query.get("sort", ""), heads)
    return page(rows, heads, sort, query.get("after", ""), size, address_of(query))


def page(rows: "QuerySet[Any]", heads: Iterable[Head], sort: Sort, after: str, size: int, address: Address) -> Page:
    """`address` makes the list's address with other parameters. A key that cannot be read means the first page."""
    key = parse_key(after, sort.order)
    found = cut(rows, sort.order, key, size)
    next_url = address(after=serialize_key(found.last)) if found.last else ""
    return Page(found.rows, [heading(head, sort, address) for head in heads], next_url, address(), is_first=key is None)


def heading(head: Head, sort: Sort, address: Address) -> Heading:
    if head.column is None:
        return Heading(head)
    is_current, down = sort.key == head.key, sort.order.descending
    wants_down = not down if is_current else head.column.largest_first
    url = address(sort=f"{'-' if wants_down else ''}{head.key}")
    return Heading(head, url, ("descending" if down else "ascending") if is_current else "")


def address_of(query: QueryDict) -> Address:
    """The request's own address with other parameters, from the first page on unless `after` is given."""

    def address(**changes: str) -> str:
        return url({name: str(value) for name, value in query.items() if name != "after"} | changes)

    return address


def url(words: Mapping[str, str]) -> str:
    """Without what says nothing, so that equal lists have equal addresses."""
    said = {name: text for name, text in words.items() if text and (name, text) != ("sort", NEWEST)}
    return f"?{urlencode(said)}"


def serialize_key(key: Key) -> str:
    value = key.value.isoformat() if isinstance(key.value, datetime) else key.value
    return json.dumps([value, key.moment.isoformat(), str(key.id)], separators=(",", ":"), ensure_ascii=False)


def parse_key(text: str, order: Order) -> Key | None:
    try:
        value, moment, pk = json.loads(text)
        key = Key(_value(value, order.column), _moment(moment), UUID(pk))
    except (ValueError, TypeError, AttributeError, OverflowError, RecursionError):
        return None
    return key


def _value(value: Any, column: Column | None) -> Any:
    if value is None and (column is None or column.optional):
        return None
    if column is None:
        raise ValueError
    return {str: _text, datetime: _moment}.get(column.kind, _number)(value)


def _text(value: Any) -> str:
    if not isinstance(value, str) or "\x00" in value:
        raise ValueError
    return value


def _moment(value: Any) -> datetime:
    parsed = datetime.fromisoformat(value)
    if parsed.tzinfo is None:
        raise ValueError
    return parsed.astimezone(UTC)


def _number(value: Any) -> int | float:
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float)
        or not math.isfinite(value)
        or abs(value) >= LARGEST
    ):
        raise ValueError
    return value
