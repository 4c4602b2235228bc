"""The figures of a job's page."""

import csv
from collections.abc import Iterator
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from console.presenters.components.csv_text import Echo, cell
from console.presenters.tuning.checkpoints import checkpoint_rows
from console.presenters.tuning.doctor import examine
from console.presenters.tuning.log import around_error
from console.presenters.tuning.progress import JobStand
from jobs.models import Metric, TuningJob

STATISTICS: dict[str, str | Promise] = {
    "tuningDatasetExampleCount": _("Examples"),
    "totalTuningCharacterCount": _("Characters"),
    "totalBillableCharacterCount": _("Billed characters"),
    "totalBillableTokenCount": _("Billed tokens"),
    "tuningStepCount": _("Steps"),
    "totalTruncatedExampleCount": _("Truncated or excluded examples"),
}
DISTRIBUTIONS: dict[str, str | Promise] = {
    "userInputTokenDistribution": _("Input tokens per example"),
    "userOutputTokenDistribution": _("Output tokens per example"),
    "userMessagePerExampleDistribution": _("Messages per example"),
}


def add_monitoring(context: dict[str, Any]) -> dict[str, Any]:
    standing: JobStand = context["stand"]
    job = standing.job
    shown = {"checkpoints": checkpoint_rows(standing), "error_lines": around_error(job), "doctor": examine(job)}
    return {**context, **shown}


def statistics(job: TuningJob) -> dict[str, Any]:
    """What Vertex AI counted; empty before it has."""
    stats = job.data_stats
    rows = [(label, stats[name]) for name, label in STATISTICS.items() if name in stats]
    spreads = [(label, stats[name]) for name, label in DISTRIBUTIONS.items() if isinstance(stats.get(name), dict)]
    return {"rows": rows, "spreads": spreads}


def points(job: TuningJob) -> Iterator[str]:
    write = csv.writer(Echo()).writerow
    yield str(write(["tag", "step", "value", "wall_time"]))
    found = Metric.objects.filter(job=job).order_by("tag", "step").values_list("tag", "step", "value", "wall_time")
    for tag, step, value, at in found.iterator(chunk_size=2000):
        yield str(write([cell(tag), step, value, at.isoformat()]))
