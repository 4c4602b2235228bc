"""The dashboard of tuning jobs: filters, orders, pages and columns, all in the address or kept with the account."""

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from django.contrib.auth.models import User
from django.db.models import Count
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST, require_safe

from console.http import ConsoleRequest, hx_redirect, page_or_fragment, safe_next
from jobs.models import AccountPreference, Density, Endpoint, StatusGroup, TuningDraft, TuningJob, TuningJobQuerySet
from jobs.services import preferences, queue
from jobs.states import TuningState

from . import sorting, tuning_filters
from .sorting import Column, Sort

LIST = "tuning"
RECENT = timedelta(days=7)
SORTS: dict[str, Column | None] = {
    "name": Column("display_name", str),
    "status": Column("status_group", int),
    "loss": Column("train_loss", float, optional=True),
    "created": None,
    "duration": Column("duration", float, optional=True),
}
COLUMNS: dict[str, str | Promise] = {
    "progress": _("Progress"), "loss": _("Training loss"), "base": _("Base model"), "created": _("Created"),
    "duration": _("Duration"), "method": _("Method"), "region": _("Region"),
}  # fmt: skip
HIDDEN_AT_FIRST = ("method", "region")
LABELS: dict[str, str | Promise] = {"name": _("Model name"), "status": _("Status"), **COLUMNS}
NUMERIC = frozenset({"loss", "duration"})
COUNTERS = (
    (StatusGroup.RUNNING, _("Running"), "progress_activity", "status:running"),
    (StatusGroup.QUEUED, _("Queued"), "schedule", "status:queued"),
    (StatusGroup.SUCCEEDED, _("Succeeded in 7 days"), "check_circle", "status:succeeded ended:7d"),
    (StatusGroup.FAILED, _("Failed in 7 days"), "error", "status:failed ended:7d"),
)


@dataclass(frozen=True)
class View:
    """What the address asks for."""

    chips: list[tuning_filters.Chip]
    sort: Sort
    after: str

    @property
    def query(self) -> str:
        return tuning_filters.query_text(self.chips)

    def address(self, **changes: str) -> str:
        """Another view of the list, from its first page unless `after` is given."""
        kept = {"filter": self.query, "sort": self.sort.text} | changes
        kept = {name: value for name, value in kept.items() if value and (name, value) != ("sort", "-created")}
        return f"?{urlencode(kept)}" if kept else "?"


@dataclass(frozen=True)
class Head:
    """A heading of the table; `url` sorts by it, and the other way round when it is sorted already."""

    key: str
    label: str | Promise
    url: str = ""
    order: str = ""

    @property
    def is_numeric(self) -> bool:
        return self.key in NUMERIC


def view_of(request: ConsoleRequest) -> View:
    chips = tuning_filters.parse(request.GET.get("filter", ""), request.GET.get("add", ""))
    sort = sorting.chosen(request.GET.get("sort", ""), SORTS, "-created")
    return View(chips, sort, request.GET.get("after", ""))


def found(user: User, view: View) -> TuningJobQuerySet:
    jobs: TuningJobQuerySet = TuningJob.objects.visible_to(user)
    return jobs.filter(tuning_filters.condition(view.chips))


@require_safe
def index(request: ConsoleRequest) -> HttpResponse:
    """`add` is what was typed into the filter field; the address then shows it as part of `filter`."""
    view = view_of(request)
    if "add" in request.GET:
        return redirect(f"{request.path}{view.address()}")
    return page_or_fragment(request, "tuning/list.html", "table", context(request.user, view))


def context(user: User, view: View) -> dict[str, Any]:
    preference = preferences.of(user)
    page = sorting.page(found(user, view).rows(), view.sort, view.after, preference.rows_per_page)
    columns = shown_columns(preference)
    return {
        **rows_context(user, page.rows, preference),
        "view": view,
        "page": page,
        "next_url": view.address(after=page.after) if page.after else "",
        "first_url": view.address(),
        "heads": [head(view, key) for key in ("name", "status", *columns)],
        "chips": [(chip, view_without(view, chip)) for chip in view.chips],
        "counters": counters(user, view),
        "choices": [(key, label, key in columns) for key, label in COLUMNS.items()],
        "densities": Density.choices,
        "page_sizes": preferences.PAGE_SIZES,
        "drafts": list(TuningDraft.objects.visible_to(user).open()[:10]),
    }


def rows_context(user: User, jobs: Sequence[TuningJob], preference: AccountPreference) -> dict[str, Any]:
    return {
        "preference": preference,
        "columns": shown_columns(preference),
        "ready": ready_endpoints(jobs),
        "places": queue.places() if any(job.state == TuningState.QUEUED for job in jobs) else {},
    }


def shown_columns(preference: AccountPreference) -> list[str]:
    hidden = preference.hidden_columns.get(LIST, HIDDEN_AT_FIRST)
    return [key for key in COLUMNS if key not in hidden]


def head(view: View, key: str) -> Head:
    if key not in SORTS:
        return Head(key, LABELS[key])
    current = view.sort.key == key
    again = f"-{key}" if not view.sort.descending else key
    url = view.address(sort=again if current else "-created" if key == "created" else key)
    order = ("descending" if view.sort.descending else "ascending") if current else ""
    return Head(key, LABELS[key], url, order)


def view_without(view: View, chip: tuning_filters.Chip) -> str:
    return View([one for one in view.chips if one != chip], view.sort, "").address()


def counters(user: User, view: View) -> list[dict[str, Any]]:
    """By index alone: what is live is little, and what has ended is counted within a window."""
    numbers = {**live_numbers(user), **ended_numbers(user)}
    return [
        {
            "value": numbers.get(group, 0),
            "label": label,
            "icon": icon,
            "url": view.address(filter="" if query == view.query else query),
            "current": query == view.query,
        }
        for group, label, icon, query in COUNTERS
    ]


def live_numbers(user: User) -> dict[int, int]:
    live = TuningJob.objects.visible_to(user).filter(status_group__in=(StatusGroup.RUNNING, StatusGroup.QUEUED))
    return dict(live.order_by().values_list("status_group").annotate(Count("pk")))


def ended_numbers(user: User) -> dict[int, int]:
    ended = TuningJob.objects.visible_to(user).filter(
        status_group__in=(StatusGroup.SUCCEEDED, StatusGroup.FAILED), ended_at__gte=timezone.now() - RECENT
    )
    return dict(ended.order_by().values_list("status_group").annotate(Count("pk")))


def ready_endpoints(jobs: Iterable[TuningJob]) -> dict[uuid.UUID, Endpoint]:
    """A ready endpoint a job, for those that have one, in one query."""
    ready = Endpoint.objects.ready().filter(job__in=list(jobs))
    return {endpoint.job_id: endpoint for endpoint in ready if endpoint.job_id}


@require_safe
def row(request: ConsoleRequest, pk: uuid.UUID) -> HttpResponse:
    job: TuningJob = get_object_or_404(TuningJob.objects.visible_to(request.user).rows(), pk=pk)
    drawn = rows_context(request.user, [job], preferences.of(request.user))
    return render(request, "tuning/list.html#row", {**drawn, "job": job})


@require_POST
def save_view(request: ConsoleRequest) -> HttpResponse:
    shown = request.POST.getlist("column")
    rows = request.POST.get("rows", "")
    preferences.save_list(
        request.user,
        LIST,
        hidden=[key for key in COLUMNS if key not in shown],
        density=request.POST.get("density", ""),
        rows=int(rows) if rows in map(str, preferences.PAGE_SIZES) else 0,
    )
    return hx_redirect(request, safe_next(request, "tuning-list"))
