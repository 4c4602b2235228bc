"""A tuning job's page in four tabs, and the fragments that keep it current."""

import uuid
from typing import Any

from django.http import HttpResponse, JsonResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from console.presenters.tuning.charts import chart_data, groups_of
from console.presenters.tuning.figures import figures_context
from console.presenters.tuning.job_figures import add_monitoring, points, statistics
from console.presenters.tuning.progress import stand
from console.presenters.tuning.queue import queue_for
from console.presenters.tuning.request import request_json
from console.web.http import ConsoleRequest
from jobs.models import TuningJob
from jobs.services.tuning import policies, queue
from jobs.states import TuningState

MONITOR = "monitor"
TABS: dict[str, tuple[str, str | Promise]] = {
    MONITOR: ("tuning-job", _("Monitor")),
    "dataset": ("tuning-job-dataset", _("Dataset")),
    "logs": ("tuning-job-logs", _("Logs")),
    "details": ("tuning-job-details", _("Details")),
}


def visible_job(request: ConsoleRequest, pk: uuid.UUID) -> TuningJob:
    jobs = TuningJob.objects.visible_to(request.user).select_related(
        "dataset", "validation_dataset", "deploy_endpoint", "sweep"
    )
    job: TuningJob = get_object_or_404(jobs, pk=pk)
    return job


def page(request: ConsoleRequest, job: TuningJob, tab: str) -> dict[str, Any]:
    """What every tab needs."""
    place = queue.find_places().get(job.pk) if job.state == TuningState.QUEUED else None
    context = {"job": job, "stand": stand(job), "tab": tab, "tabs": TABS, "place": place}
    if place is None:
        return context
    return {**context, "queue": queue_for(request.user), "moves": policies.list_moves(job, place)}


@require_safe
def detail(request: ConsoleRequest, pk: uuid.UUID) -> HttpResponse:
    job = visible_job(request, pk)
    context = {**add_monitoring(page(request, job, MONITOR)), "groups": groups_of(job)}
    return render(request, "tuning/job.html", context)


@require_safe
def status(request: ConsoleRequest, pk: uuid.UUID) -> HttpResponse:
    """What of the tab `tab` changes while the job goes on."""
    tab = request.GET.get("tab", MONITOR)
    context = page(request, visible_job(request, pk), tab if tab in TABS else MONITOR)
    if context["tab"] == MONITOR:
        groups = groups_of(context["job"])
        has_more = request.GET.get("charts", str(len(groups))) != str(len(groups))
        context = {**add_monitoring(context), "groups": groups, "new_charts": has_more}
    if context["tab"] == "details":
        context = about(context)
    return render(request, "tuning/job_update.html", context)


@require_safe
def dataset(request: ConsoleRequest, pk: uuid.UUID) -> HttpResponse:
    context = page(request, visible_job(request, pk), "dataset")
    return render(request, "tuning/job_dataset.html", {**context, "statistics": statistics(context["job"])})


def about(context: dict[str, Any]) -> dict[str, Any]:
    job: TuningJob = context["job"]
    return {**context, "request_json": request_json(job), **figures_context(job)}


@require_safe
def details(request: ConsoleRequest, pk: uuid.UUID) -> HttpResponse:
    context = page(request, visible_job(request, pk), "details")
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
