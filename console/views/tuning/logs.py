import uuid
from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from console.presenters.tuning.log import LEVELS, LINES_SHOWN, render_log
from console.web.http import ConsoleRequest
from jobs.models import EventLevel, TuningJob

from .jobs import page, visible_job


@require_safe
def logs(request: ConsoleRequest, pk: uuid.UUID) -> HttpResponse:
    job = visible_job(request, pk)
    context = {**page(request, job, "logs"), **log_of(request, job), **events_of(request, job)}
    return render(request, "tuning/job_logs.html", context)


@require_safe
def log(request: ConsoleRequest, pk: uuid.UUID) -> HttpResponse:
    """The end of the training log as HTML text; with `?download` all that is kept."""
    job = visible_job(request, pk)
    if "download" in request.GET:
        headers = {"Content-Disposition": f'attachment; filename="{job.pk}.log"'}
        return HttpResponse(job.log_text, content_type="text/plain; charset=utf-8", headers=headers)
    return render(request, "tuning/log_update.html", log_of(request, job))


@require_safe
def events(request: ConsoleRequest, pk: uuid.UUID) -> HttpResponse:
    job = visible_job(request, pk)
    return render(request, "tuning/job_events.html", {"job": job, **events_of(request, job)})


def log_of(request: ConsoleRequest, job: TuningJob) -> dict[str, Any]:
    shown = render_log(job, request.GET.get("find", ""), request.GET.get("level", ""))
    return {"log": shown, "levels": LEVELS, "lines_shown": LINES_SHOWN, "job": job}


def events_of(request: ConsoleRequest, job: TuningJob) -> dict[str, Any]:
    only = request.GET.get("events", "")
    found = job.events.exclude(level=EventLevel.INFO) if only == "problems" else job.events.all()
    return {"events": list(found), "only": only}
