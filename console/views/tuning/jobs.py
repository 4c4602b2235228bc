"""A tuning job's page in four tabs, and the fragments that keep it current."""

import csv
import uuid
from collections.abc import Iterator
from typing import Any

from django.http import HttpResponse, JsonResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from console.presenters.components.csv_text import Echo, cell
from console.presenters.tuning.charts import GROUPS, chart_data
from console.presenters.tuning.checkpoints import checkpoint_rows
from console.presenters.tuning.figures import figures_context
from console.presenters.tuning.log import around_error
from console.presenters.tuning.progress import JobStand, stand
from console.presenters.tuning.request import request_json
from console.web.http import ConsoleRequest
from jobs.models import Metric, TuningJob
from jobs.services.tuning import queue
from jobs.states import TuningState

MONITOR = "monitor"
TABS: dict[str, tuple[str, str | Promise]] = {
    MONITOR: ("tuning-job", _("Monitor")),
    "dataset": ("tuning-job-dataset", _("Dataset")),
    "logs": ("tuning-job-logs", _("Logs")),
    "details": ("tuning-job-details", _("Details")),
}


def visible_job(request: ConsoleRequest, pk: uuid.UUID) -> TuningJob:
    jobs = TuningJob.objects.visible_to(request.user).select_related("dataset", "validation_dataset")
    job: TuningJob = get_object_or_404(jobs, pk=pk)
    return job


def page(job: TuningJob, tab: str) -> dict[str, Any]:
    """What every tab needs."""
    place = queue.places().get(job.pk) if job.state == TuningState.QUEUED else None
    return {"job": job, "stand": stand(job), "tab": tab, "tabs": TABS, "place": place}


@require_safe
def detail(request: ConsoleRequest, pk: uuid.UUID) -> HttpResponse:
    job = visible_job(request, pk)
    return render(request, "tuning/job.html", {**add_monitoring(page(job, MONITOR)), "groups": GROUPS})


def add_monitoring(context: dict[str, Any]) -> dict[str, Any]:
    standing: JobStand = context["stand"]
    return {**context, "checkpoints": checkpoint_rows(standing), "error_lines": around_error(standing.job)}


@require_safe
def status(request: ConsoleRequest, pk: uuid.UUID) -> HttpResponse:
    """What of the tab `tab` changes while the job goes on."""
    tab = request.GET.get("tab", MONITOR)
    context = page(visible_job(request, pk), tab if tab in TABS else MONITOR)
    if context["tab"] == MONITOR:
        context = add_monitoring(context)
    if context["tab"] == "details":
        context = about(context)
    return render(request, "tuning/job_update.html", context)


@require_safe
def dataset(request: ConsoleRequest, pk: uuid.UUID) -> HttpResponse:
    context = page(visible_job(request, pk), "dataset")
    return render(request, "tuning/job_dataset.html", {**context, "statistics": statistics(context["job"])})


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


def statistics(job: TuningJob) -> dict[str, Any]:
    """What Vertex AI counted; empty before it has."""
    stats = job.data_stats
    rows = [(label, stats[name]) for name, label in STATISTICS.items() if name in stats]
    spreads = [(label, stats[name]) for name, label in DISTRIBUTIONS.items() if isinstance(stats.get(name), dict)]
    return {"rows": rows, "spreads": spreads}


def about(context: dict[str, Any]) -> dict[str, Any]:
    job: TuningJob = context["job"]
    return {**context, "request_json": request_json(job), **figures_context(job)}


@require_safe
def details(request: ConsoleRequest, pk: uuid.UUID) -> HttpResponse:
    context = page(visible_job(request, pk), "details")
    return render(request, "tuning/job_about.html", about(context))


@require_safe
def metrics(request: ConsoleRequest, pk: uuid.UUID) -> JsonResponse:
    return JsonResponse(chart_data(visible_job(request, pk)))


@require_safe
def metrics_csv(request: ConsoleRequest, pk: uuid.UUID) -> StreamingHttpResponse:
    """Every point that was recorded, not only those that a chart shows."""
    job = visible_job(request, pk)
    headers = {"Content-Disposition": f'attachment; filename="{job.pk}-metrics.csv"'}
    return StreamingHttpResponse(points(job), content_type="text/csv; charset=utf-8", headers=headers)


def points(job: TuningJob) -> Iterator[str]:
    write = csv.writer(Echo()).writerow
    yield str(write(["tag", "step", "value", "wall_time"]))
    found = Metric.objects.filter(job=job).order_by("tag", "step").values_list("tag", "step", "value", "wall_time")
    for tag, step, value, at in found.iterator(chunk_size=2000):
        yield str(write([cell(tag), step, value, at.isoformat()]))
