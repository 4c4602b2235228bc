"""Tuning jobs side by side."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from console.presenters.tuning.charts import COMPARED
from console.templatetags.console import duration
from console.templatetags.tuning import loss
from jobs.models import TuningJob, series

ACCURACY = ("train-accuracy", "eval-accuracy")
FIGURES: dict[str, tuple[str | Promise, Callable[[TuningJob], Any]]] = {
    "state": (_("Status"), lambda job: job.get_state_display()),
    "train_loss": (_("Training loss"), lambda job: loss(job.train_loss)),
    "eval_loss": (_("Validation loss"), lambda job: loss(job.eval_loss)),
    "steps": (_("Steps"), lambda job: f"{job.step} / {job.total_steps}" if job.total_steps else job.step),
    "duration": (_("Duration"), lambda job: duration(job.duration)),
}


@dataclass(frozen=True)
class Line:
    label: str | Promise
    values: list[Any]

    @property
    def differs(self) -> bool:
        return len(set(map(str, self.values))) > 1


def figures(jobs: Sequence[TuningJob]) -> list[Line]:
    lines = [Line(label, [value(job) for job in jobs]) for label, value in FIGURES.values()]
    tags = {key: COMPARED[key][1] for key in ACCURACY}
    found = series(jobs, tags.values())
    accuracies = [
        Line(COMPARED[key][0], [loss(found[job.pk][tag][-1][1] if tag in found[job.pk] else None) for job in jobs])
        for key, tag in tags.items()
    ]
    return [*lines[:3], *accuracies, *lines[3:]]
