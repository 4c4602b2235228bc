"""The rows that were ticked in a list."""

import uuid
from collections.abc import Iterable
from itertools import islice
from typing import TypeVar

from django.db.models import Model, QuerySet

MAX_CHOSEN = 100

Row = TypeVar("Row", bound=Model)


def select_rows(rows: QuerySet[Row], texts: Iterable[str]) -> list[Row]:
    """In the order in which they were named; what is no id, is named twice or is not among `rows` is left out."""
    ids = dict.fromkeys(filter(None, map(identity, islice(texts, MAX_CHOSEN))))
    found = {row.pk: row for row in rows.filter(pk__in=ids)}
    return [found[pk] for pk in ids if pk in found]


def identity(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text)
    except ValueError:
        return None
