"""Pages of a list that is sorted by a column, by key as in paging.py."""

import uuid
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.core.exceptions import ValidationError
from django.db.models import Q, QuerySet
from django.http import QueryDict
from django.utils.functional import Promise

from .paging import PAGE_SIZE, Page, page_of

LONGEST_KEY = 200


@dataclass(frozen=True)
class Column:
    """`field` is empty for what cannot be sorted by; numbers come with the largest first."""

    label: str | Promise
    field: str = ""
    is_number: bool = False


@dataclass(frozen=True)
class Heading:
    label: str | Promise
    is_number: bool
    url: str = ""
    sorted: str = ""


def sorted_page(rows: "QuerySet[Any]", query: QueryDict, columns: list[Column]) -> Page:
    """`?sort=name` or `?sort=-name`; anything else means the newest first."""
    field, descending = wanted(query, columns)
    if not field or field == "created_at" and descending:
        return page_of(rows.order_by("-created_at", "-id"), query, PAGE_SIZE)
    key = parsed(rows, field, query.get("after", ""))
    if key:
        compare = "lt" if descending else "gt"
        rows = rows.filter(Q(**{f"{field}__{compare}": key[0]}) | Q(**{field: key[0]}, id__lt=key[1]))
    found = list(rows.order_by(f"-{field}" if descending else field, "-id")[: PAGE_SIZE + 1])
    older = following(query, found[PAGE_SIZE - 1], field) if len(found) > PAGE_SIZE else ""
    return Page(found[:PAGE_SIZE], older, is_first=key is None)


def wanted(query: QueryDict, columns: list[Column]) -> tuple[str, bool]:
    sort = query.get("sort", "")
    field = sort.removeprefix("-")
    known = any(column.field == field for column in columns if column.field)
    return (field, sort.startswith("-")) if known else ("", False)


def parsed(rows: "QuerySet[Any]", field: str, text: str) -> tuple[Any, uuid.UUID] | None:
    pk, _, value = text.partition("_")
    if not value or len(value) > LONGEST_KEY or "\x00" in value:
        return None
    try:
        return rows.model._meta.get_field(field).to_python(value), uuid.UUID(pk)
    except (ValidationError, ValueError, OverflowError):
        return None


def following(query: QueryDict, last: Any, field: str) -> str:
    kept = [(name, value) for name, value in query.items() if name not in ("before", "after")]
    return f"?{urlencode([*kept, ('after', f'{last.pk}_{getattr(last, field)}')])}"


def headings(query: QueryDict, columns: list[Column]) -> list[Heading]:
    """Pressed again, a column is sorted the other way round."""
    field, descending = wanted(query, columns)
    words = query.get("q")
    kept = {"q": words} if words else {}
    return [heading(column, kept, descending if column.field == field else None) for column in columns]


def heading(column: Column, kept: dict[str, str], descending: bool | None) -> Heading:
    if not column.field:
        return Heading(column.label, column.is_number)
    down = column.is_number if descending is None else not descending
    state = {None: "", True: "descending", False: "ascending"}[descending]
    url = f"?{urlencode({**kept, 'sort': ('-' if down else '') + column.field})}"
    return Heading(column.label, column.is_number, url, state)
