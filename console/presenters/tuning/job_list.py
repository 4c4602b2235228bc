"""The list of tuning jobs: columns, counters, rows."""

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import User
from django.utils.translation import gettext_lazy as _

from console.presenters.components import pager
from console.presenters.components.pager import CREATED, Head, Sort
from console.presenters.tuning import filters
from console.presenters.tuning.counts import count_ended, live_numbers
from console.presenters.tuning.queue import queue_for
from jobs.models import (
    AccountPreference,
    Density,
    Endpoint,
    StatusGroup,
    TuningDraft,
    TuningJob,
    TuningJobQuerySet,
    preference_of,
)
from jobs.models.keyset import Column
from jobs.services.accounts import preferences
from jobs.services.tuned_models import checkpoints
from jobs.services.tuning import queue
from jobs.states import TuningState

ALWAYS = (
    Head("name", _("Model name"), Column("display_name", str)),
    Head("status", _("Status"), Column("status_group", int)),
)
LIST = "tuning"
HIDDEN_AT_FIRST = ("method", "region")
OPTIONAL = (
    Head("progress", _("Progress")),
    Head("loss", _("Training loss"), Column("train_loss", float, optional=True), is_number=True),
    Head("base", _("Base model")),
    Head("created", _("Created"), CREATED),
    Head("duration", _("Duration"), Column("duration", float, optional=True), is_number=True),
    Head("method", _("Method")),
    Head("region", _("Region")),
)
HEADS = (*ALWAYS, *OPTIONAL)
COUNTERS = (
    (StatusGroup.RUNNING, _("Running"), "progress_activity", "status:running"),
    (StatusGroup.QUEUED, _("Queued"), "schedule", "status:queued"),
    (StatusGroup.SUCCEEDED, _("Succeeded in 7 days"), "check_circle", "status:succeeded ended:7d"),
    (StatusGroup.FAILED, _("Failed in 7 days"), "error", "status:failed ended:7d"),
)
# What tells which of a job's checkpoints an endpoint serves.
SERVING = (
    *("main_model__artifact_uri", "main_model__endpoint", "main_model__job__state", "main_model__job__output_uri"),
    *("main_model__job__checkpoints", "main_model__job__default_checkpoint"),
    *("main_model__job__result_form", "main_model__job__result_folder"),
)


@dataclass(frozen=True)
class View:
    """What the address asks for."""

    chips: list[filters.Chip]
    sort: Sort
    after: str

    @property
    def query(self) -> str:
        return filters.query_text(self.chips)

    def address(self, **changes: str) -> str:
        """Another view of the list, from its first page unless `after` is given."""
        return pager.url({"filter": self.query, "sort": self.sort.text} | changes)


def search_jobs(user: User, view: View) -> TuningJobQuerySet:
    """The index of the newest has what is filtered by; in another order the jobs that fit are looked up in it first."""
    jobs: TuningJobQuerySet = TuningJob.objects.visible_to(user)
    fitting = jobs.filter(filters.condition(view.chips))
    if not view.chips or view.sort.order.column is None:
        return fitting
    return jobs.filter(pk__in=fitting.order_by().values("pk"))


def context(user: User, view: View) -> dict[str, Any]:
    preference = preference_of(user)
    columns = visible_columns(preference)
    heads = [*ALWAYS, *(head for head in OPTIONAL if head.key in columns)]
    rows = search_jobs(user, view).lines()
    page = pager.page(rows, heads, view.sort, view.after, preference.rows_per_page, view.address)
    return {
        **rows_context(user, page.rows, preference),
        "view": view,
        "page": page,
        "chips": [(chip, view_without(view, chip)) for chip in view.chips],
        "counters": counters(user, view),
        "choices": [(head.key, head.label, head.key in columns) for head in OPTIONAL],
        "densities": Density.choices,
        "page_sizes": preferences.PAGE_SIZES,
        "drafts": TuningDraft.objects.visible_to(user).open().count(),
    }


def rows_context(user: User, jobs: Sequence[TuningJob], preference: AccountPreference) -> dict[str, Any]:
    return {
        "queue": queue_for(user),
        "preference": preference,
        "columns": visible_columns(preference),
        "ready": ready_endpoints(jobs),
        "places": queue.find_places() if any(job.state == TuningState.QUEUED for job in jobs) else {},
    }


def visible_columns(preference: AccountPreference) -> list[str]:
    hidden = preference.hidden_columns.get(LIST, HIDDEN_AT_FIRST)
    return [head.key for head in OPTIONAL if head.key not in hidden]


def view_without(view: View, chip: filters.Chip) -> str:
    return View([one for one in view.chips if one != chip], view.sort, "").address()


def counters(user: User, view: View) -> list[dict[str, Any]]:
    """By index alone: what is live is little, and what has ended is counted within a window."""
    numbers = {**live_numbers(user), **count_ended(user)}
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


def ready_endpoints(jobs: Iterable[TuningJob]) -> dict[uuid.UUID, uuid.UUID]:
    """A ready endpoint of the model that a job left, for those that have one, in one query."""
    ready = Endpoint.objects.ready().filter(main_model__job__in=[job.pk for job in jobs if job.is_tuned])
    ready = ready.select_related("main_model__job").only(*SERVING)
    found = [(endpoint, endpoint.model.job) for endpoint in ready]
    return {job.pk: one.pk for one, job in found if job and checkpoints.filter_serving_model(job, [one])}
