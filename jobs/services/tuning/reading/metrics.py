"""The figures of a training: its curves as points of rows, and how far it has come."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Max

from jobs.models import EventLevel, Metric, TuningJob, thin_out
from jobs.services.remote.row_claim import Event
from jobs.text.deferred import gettext as _
from jobs.vertex.values import Point

from .series import EVAL, TRAIN

CURVE_POINTS = 24
MOST_STEP = 2**31 - 1


@dataclass
class Reading:
    changes: dict[str, Any] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    points: list[Metric] = field(default_factory=list)

    def save_points(self) -> None:
        Metric.objects.bulk_create(self.points, ignore_conflicts=True)


def read_metrics(job: TuningJob, series: Mapping[str, Sequence[Point]], reading: Reading) -> None:
    series = _without_impossible_steps(series)
    kept = dict(job.metrics.order_by().values_list("tag").annotate(Max("step")))
    fresh = {tag: [point for point in points if point.step > kept.get(tag, -1)] for tag, points in series.items()}
    reading.points = [
        Metric(job=job, tag=tag, step=point.step, value=point.value, wall_time=point.wall_time)
        for tag, points in fresh.items()
        for point in points
        if math.isfinite(point.value)
    ]
    total = reading.changes.get("total_steps") or job.total_steps
    if train := series.get(TRAIN):
        _read_training(job, train, total, reading)
    # Without a curve that is known as a loss of the training, any curve says how far it is.
    elif everything := [point for points in series.values() for point in points]:
        by_step = sorted(everything, key=lambda one: one.step)
        reading.changes |= _progress(job, by_step[0], by_step[-1], total)
    if evaluated := series.get(EVAL):
        reading.changes["eval_loss"] = evaluated[-1].value if math.isfinite(evaluated[-1].value) else None
        reading.events += [_epoch_ended(job, point, total) for point in fresh[EVAL] if math.isfinite(point.value)]


def _without_impossible_steps(series: Mapping[str, Sequence[Point]]) -> dict[str, list[Point]]:
    found = {tag: [one for one in points if 0 <= one.step <= MOST_STEP] for tag, points in series.items()}
    return {tag: points for tag, points in found.items() if points}


def _read_training(job: TuningJob, train: Sequence[Point], total: int | None, reading: Reading) -> None:
    last = train[-1]
    reading.changes |= _progress(job, train[0], last, total)
    reading.changes["loss_curve"] = _curve([point.value for point in train if math.isfinite(point.value)])
    reading.changes["train_loss"] = last.value if math.isfinite(last.value) else None
    if not math.isfinite(last.value) and last.step > job.step:
        sentence = _("The training loss is not a number at step %d. A lower learning rate may help.") % last.step
        reading.events.append((EventLevel.WARNING, sentence))


def _progress(job: TuningJob, first: Point, last: Point, total: int | None) -> dict[str, Any]:
    return {
        "step": last.step, "first_step_at": first.wall_time, "last_step_at": last.wall_time,
        "epoch": round(last.step * job.epochs / total, 4) if total else 0,
    }  # fmt: skip


def _curve(values: list[float]) -> list[float]:
    return [float(f"{value:.4g}") for value in thin_out(values, CURVE_POINTS)]


def _epoch_ended(job: TuningJob, point: Point, total: int | None) -> Event:
    epoch = f"{point.step * job.epochs / total:.3g}" if total else "?"
    words = {"epoch": epoch, "step": point.step, "loss": point.value}
    return EventLevel.INFO, _("Epoch %(epoch)s ended at step %(step)d with a validation loss of %(loss).4f.") % words
