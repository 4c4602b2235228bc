"""One box for everything: models, and what the person made of them. Six rows of each kind are asked for, five shown."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.contrib.auth.models import User
from django.db.models import Q, QuerySet
from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from console.presenters.catalogue import model_families
from console.presenters.components.highlight import highlight
from console.web.http import ConsoleRequest
from jobs.models import Conversation, Dataset, Endpoint, PublisherModel, TuningJob

SHOWN = 5
LONGEST_QUERY = 200


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


KINDS = (
    Kind(
        _("Models"), "potted_plant", ("display_name", "name"), lambda user: PublisherModel.objects.only_listed(),
        lambda row: model_families.Variant(row, "").url, "model-garden", has_search=True,
    ),
    Kind(
        _("Tuned models"), "tune", ("display_name", "base_model", "tuned_model"), list_tuned_models,
        page_of("tuned-model"), "tuned-models", has_search=True,
    ),
    Kind(
        _("Tuning jobs"), "model_training", ("display_name", "base_model", "resource_name"),
        lambda user: TuningJob.objects.visible_to(user).rows(), page_of("tuning-job"), "tuning-list",
    ),
    Kind(
        _("Endpoints"), "dns", ("display_name", "main_model__base_model", "resource_name"),
        lambda user: Endpoint.objects.visible_to(user).not_deleted().with_model(), page_of("endpoint-detail"),
        "endpoint-list", has_search=True,
    ),
    Kind(
        _("Datasets"), "dataset", ("name", "file_name"),
        lambda user: Dataset.objects.visible_to(user), page_of("dataset-detail"), "dataset-list",
    ),
    Kind(
        _("Chats"), "chat", ("title", "endpoint__display_name"),
        lambda user: Conversation.objects.visible_to(user).select_related("endpoint"),
        page_of("chat-conversation"), "chat",
    ),
)  # fmt: skip


@require_safe
def index(request: ConsoleRequest) -> HttpResponse:
    q = request.GET.get("q", "").replace("\x00", "").strip()[:LONGEST_QUERY]
    groups = [group_of(kind, request.user, q) for kind in KINDS] if q else []
    context = {"q": q, "groups": [group for group in groups if group.hits]}
    return render(request, "search/index.html", context)


def group_of(kind: Kind, user: User, q: str) -> Group:
    rows = list(matching(kind, user, q)[: SHOWN + 1])
    query = f"?{urlencode({'q': q})}" if kind.has_search else ""
    more = f"{reverse(kind.everything)}{query}" if len(rows) > SHOWN else ""
    return Group(kind, [hit_of(kind, row, q) for row in rows[:SHOWN]], more)


def matching(kind: Kind, user: User, q: str) -> "QuerySet[Any]":
    found = kind.rows(user)
    for word in q.split():
        any_field = Q()
        for field in kind.fields:
            any_field |= Q(**{f"{field}__icontains": word})
        found = found.filter(any_field)
    return found


def hit_of(kind: Kind, row: Any, q: str) -> Hit:
    title, detail = (text_of(row, field) for field in kind.fields[:2])
    return Hit(highlight(title, q), kind.url(row), highlight(detail, q), row)


def text_of(row: Any, field: str) -> str:
    for name in field.split("__"):
        row = getattr(row, name, None)
    return str(row or "")
