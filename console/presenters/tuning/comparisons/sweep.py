"""The jobs of a sweep side by side, in the order that the address asks for, the best one marked."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from django.contrib.auth.models import User
from django.utils.functional import Promise
from django.utils.translation import gettext, gettext_lazy as _

from console.forms.tuning.sweep import LABELS
from console.presenters.components.pager import Head, Heading
from console.presenters.tuning.charts import COMPARED
from console.presenters.tuning.queue import queue_for
from jobs.models import Sweep, TuningJob, Visibility
from jobs.services.tuned_models import policies as tuned_models
from jobs.services.tuning import policies
from jobs.services.tuning.sweeps.spec import format_value
from jobs.states import TuningState

CHARTS = ("train-loss", "eval-loss")
FIGURES: dict[str, tuple[str | Promise, Callable[[TuningJob], Any]]] = {
    "state": (_("Status"), lambda job: job.status_group),
    "train": (_("Training loss"), lambda job: job.train_loss),
    "eval": (_("Validation loss"), lambda job: job.eval_loss),
    "duration": (_("Duration"), lambda job: job.duration),
}


@dataclass(frozen=True)
class Row:
    job: TuningJob
    values: list[str]
    is_best: bool


def jobs_of(sweep: Sweep) -> list[TuningJob]:
    """Those that were deleted since are not told of."""
    found = sweep.jobs.filter(visibility__lt=Visibility.DELETED).order_by("sweep_place")
    return list(found.rows())


def context(user: User, sweep: Sweep, sort: str) -> dict[str, Any]:
    jobs = jobs_of(sweep)
    best, measure = find_best(jobs)
    live = [job for job in jobs if not policies.why_not_cancel(job)]
    columns: dict[str, tuple[str | Promise, Callable[[TuningJob], Any]]] = {
        "place": (_("Job"), attrgetter("sweep_place")),
        **{name: (LABELS[name], attrgetter(name)) for name in sweep.varied},
        **FIGURES,
    }
    key = sort.removeprefix("-") if sort.removeprefix("-") in columns else "place"
    is_descending = sort == f"-{key}"
    return {
        "sweep": sweep,
        "rows": [
            Row(job, [format_value(getattr(job, name)) for name in sweep.varied], job == best)
            for job in in_order(jobs, columns[key][1], is_descending=is_descending)
        ],
        "headings": [
            heading(name, label, key, is_descending=is_descending) for name, (label, _value) in columns.items()
        ],
        "measure": measure,
        "best": best,
        "live": live,
        "cancelling": cancelling_words(live),
        "ended": sum(job.is_terminal for job in jobs),
        "charts": {name: (COMPARED[name][0], why_empty(name, jobs)) for name in CHARTS},
        "queue": queue_for(user),
    }


def why_empty(chart: str, jobs: list[TuningJob]) -> str:
    """What a chart without values says."""
    if chart == "eval-loss" and not any(job.validation_dataset_id for job in jobs):
        return gettext("There are no validation curves, because the jobs have no validation dataset.")
    if all(job.is_terminal for job in jobs):
        return gettext("No values were recorded.")
    return gettext("Values appear after the first steps.")


def cancelling_words(live: list[TuningJob]) -> str:
    """What is lost with the jobs that have not ended."""
    loses = dict.fromkeys(map(tuned_models.what_cancelling_loses, live))
    return " ".join([gettext("Jobs that have ended stay as they are."), *loses])


def in_order(jobs: list[TuningJob], value: Callable[[TuningJob], Any], *, is_descending: bool) -> list[TuningJob]:
    """What has no value yet comes last either way."""
    known = [job for job in jobs if value(job) is not None]
    return [*sorted(known, key=value, reverse=is_descending), *(job for job in jobs if value(job) is None)]


def heading(name: str, label: str | Promise, key: str, *, is_descending: bool) -> Heading:
    order = ("descending" if is_descending else "ascending") if name == key else ""
    url = f"?sort=-{name}" if order == "ascending" else f"?sort={name}"
    return Heading(Head(name, label, is_number=name not in ("place", "state")), url, order)


def find_best(jobs: list[TuningJob]) -> tuple[TuningJob | None, str]:
    """Of those that succeeded, by the lowest validation loss where every one has one, else by the training loss."""
    done = [job for job in jobs if job.state == TuningState.SUCCEEDED]
    for measure in ("eval_loss", "train_loss"):
        found = [getattr(job, measure) for job in done]
        if done and all(value is not None and math.isfinite(value) for value in found):
            return min(done, key=lambda job: getattr(job, measure)), measure
    return None, ""
