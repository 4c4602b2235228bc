"""What one search over everything finds."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.safestring import SafeString

from console.presenters.components.highlight import highlight
from console.presenters.components.word_search import match_words
from jobs.models import TuningJob

SHOWN = 5


@dataclass(frozen=True)
class Hit:
    title: SafeString
    url: str
    detail: SafeString
    row: Any


@dataclass(frozen=True)
class Kind:
    """`fields` are searched; a row must have every word in one of them. The first is its title, the next its detail."""

    title: str | Promise
    icon: str
    fields: tuple[str, ...]
    rows: Callable[[User], "QuerySet[Any]"]
    url: Callable[[Any], str]
    everything: str
    has_search: bool = False


@dataclass(frozen=True)
class Group:
    kind: Kind
    hits: list[Hit]
    all_url: str


def page_of(view: str) -> Callable[[Any], str]:
    return lambda row: reverse(view, args=[row.pk])


def list_tuned_models(user: User) -> "QuerySet[Any]":
    return TuningJob.objects.visible_to(user).rows().with_tuned_model()


def group_of(kind: Kind, user: User, q: str) -> Group:
    rows = list(match_words(kind.rows(user), q, *kind.fields)[: SHOWN + 1])
    query = f"?{urlencode({'q': q})}" if kind.has_search else ""
    more = f"{reverse(kind.everything)}{query}" if len(rows) > SHOWN else ""
    return Group(kind, [hit_of(kind, row, q) for row in rows[:SHOWN]], more)


def hit_of(kind: Kind, row: Any, q: str) -> Hit:
    title, detail = (text_of(row, field) for field in kind.fields[:2])
    return Hit(highlight(title, q), kind.url(row), highlight(detail, q), row)


def text_of(row: Any, field: str) -> str:
    for name in field.split("__"):
        row = getattr(row, name, None)
    return str(row or "")
