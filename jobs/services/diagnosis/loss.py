"""Whether the loss of a training went astray: it is no number any more, or it rose far and stayed there."""

from dataclasses import dataclass

from django.db.models import Max

from jobs.models import TuningJob
from jobs.services.tuning.reading.series import TRAIN

POINTS_READ, LAST, RISE = 2000, 5, 3.0


@dataclass(frozen=True)
class Divergence:
    """`step`: the first that counts for nothing. `last` None: it is not a number. `best` None: none of them is."""

    step: int
    best: float | None
    last: float | None


def find_divergence(job: TuningJob) -> Divergence | None:
    """No query where all is well: what the row itself has of its curve tells whether to look closer."""
    if job.last_step_at is None or not job.step:
        return None
    if job.train_loss is None:
        last_number = job.metrics.filter(tag=TRAIN).aggregate(last=Max("step"))["last"] or 0
        return Divergence(last_number + 1, min(job.loss_curve, default=None), None)
    if not _rose(job.loss_curve):
        return None
    points = list(job.metrics.filter(tag=TRAIN).order_by("-step").values_list("step", "value")[:POINTS_READ])[::-1]
    return find_rise(points)


def _rose(curve: list[float]) -> bool:
    return len(curve) > LAST and curve[-1] > max(RISE * min(curve), curve[0])


def find_rise(points: list[tuple[int, float]]) -> Divergence | None:
    """The last five are all far above the best, and above where the training began."""
    if len(points) <= LAST:
        return None
    best = min(value for _step, value in points)
    limit = max(RISE * best, points[0][1])
    if any(value <= limit for _step, value in points[-LAST:]):
        return None
    calm = max(place for place, (_step, value) in enumerate(points) if value <= limit)
    return Divergence(points[calm + 1][0], best, points[-1][1])
