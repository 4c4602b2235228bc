"""Pages of a long list by key, newest first: page 1,000 costs what page 1 costs, and a new row shifts nothing."""

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from django.db.models import Model, Q, QuerySet
from django.http import QueryDict

PAGE_SIZE = 50


@dataclass(frozen=True)
class Page:
    """`older` is the address of the next page, empty on the last; `is_first`: nothing newer stands above it."""

    rows: list[Any]
    older: str
    is_first: bool


def page_of(rows: "QuerySet[Any]", query: QueryDict, size: int = PAGE_SIZE) -> Page:
    """`rows` ordered by created_at and id, both descending. A key that cannot be read means the first page."""
    key = parse(query.get("before", ""))
    if key:
        moment, pk = key
        rows = rows.filter(Q(created_at__lt=moment) | Q(created_at=moment, id__lt=pk))
    found = list(rows[: size + 1])
    older = address(query, found[size - 1]) if len(found) > size else ""
    return Page(found[:size], older, is_first=key is None)


def parse(text: str) -> tuple[datetime, uuid.UUID] | None:
    moment, _, pk = text.partition("_")
    try:
        parsed = datetime.fromisoformat(moment)
        return (parsed.astimezone(UTC), uuid.UUID(pk)) if parsed.tzinfo else None
    except (ValueError, OverflowError):
        return None


def address(query: QueryDict, last: Model) -> str:
    kept = [(name, value) for name, value in query.items() if name != "before"]
    created_at: datetime = last.created_at  # type: ignore[attr-defined]  # every listed model has one
    return f"?{urlencode([*kept, ('before', f'{created_at.isoformat()}_{last.pk}')])}"
