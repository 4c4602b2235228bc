"""How lists are searched."""

from typing import Any, TypeVar

from django.db.models import Q, QuerySet

Rows = TypeVar("Rows", bound="QuerySet[Any]")


def match_words(rows: Rows, text: str, *fields: str) -> Rows:
    """Rows that have each word somewhere in one of the fields."""
    for word in text.split():
        found = Q()
        for field in fields:
            found |= Q(**{f"{field}__icontains": word})
        rows = rows.filter(found)
    return rows
