"""Two to six tuning jobs side by side: their curves on the same charts, and the settings in which they differ."""

from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlencode

from django.http import HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from console.presenters.tuning.charts import COMPARED, comparison_data, others_of
from console.presenters.tuning.comparisons.jobs import Line, figures
from console.web.http import ConsoleRequest
from jobs.models import TuningJob
from jobs.text.numbers import plain

from .bulk import get_selected_jobs

MIN_JOBS, MAX_JOBS = 2, 6


def said(number: float | None) -> str | Promise:
    return _("Default") if number is None else plain(number)


YES_NO = {True: _("Yes"), False: _("No")}
SETTINGS: dict[str, tuple[str | Promise, Callable[[TuningJob], Any]]] = {
    "base_model": (_("Base model"), lambda job: job.base_model),
    "tuning_mode": (_("Method"), lambda job: job.get_tuning_mode_display()),
    "adapter_size": (_("Adapter size"), lambda job: job.adapter_size),
    "epochs": (_("Epochs"), lambda job: job.epochs),
    "learning_rate": (_("Learning rate"), lambda job: plain(job.learning_rate)),
    "batch_size": (_("Batch size"), lambda job: job.batch_size or _("Default")),
    "warmup_ratio": (_("Warm-up"), lambda job: said(job.warmup_ratio)),
    "lr_scheduler_type": (_("Learning rate schedule"), lambda job: job.get_lr_scheduler_type_display() or _("Default")),
    "weight_decay": (_("Weight decay"), lambda job: said(job.weight_decay)),
    "seed": (_("Seed"), lambda job: said(job.seed)),
    "max_seq_length": (_("Longest row"), lambda job: said(job.max_seq_length)),
    "dataset": (_("Training dataset"), lambda job: job.dataset.name),
    "dataset_sha": (_("Training data (SHA-256)"), lambda job: job.dataset.sha256[:12]),
    "validation": (_("Validation dataset"), lambda job: job.validation_dataset and job.validation_dataset.name),
    "location": (_("Region"), lambda job: job.location),
    "last_only": (_("Export the last checkpoint only"), lambda job: YES_NO[job.export_last_checkpoint_only]),
}


def jobs_of(request: ConsoleRequest) -> list[TuningJob]:
    return get_selected_jobs(request, request.GET.getlist("job"))


@require_safe
def index(request: ConsoleRequest) -> HttpResponse:
    chosen = jobs_of(request)
    jobs = chosen[:MAX_JOBS]
    if len(jobs) < MIN_JOBS:
        return render(request, "tuning/compare_few.html", {"jobs": jobs, "others": others(request, jobs)})
    settings = [Line(label, [value(job) for job in jobs]) for label, value in SETTINGS.values()]
    everything = "all" in request.GET
    query = urlencode([("job", str(job.pk)) for job in jobs])
    context = {
        "jobs": [(job, urlencode([("job", str(one.pk)) for one in jobs if one != job])) for job in jobs],
        "left_out": len(chosen) - len(jobs),
        "settings": settings if everything else [line for line in settings if line.differs],
        "same": sum(not line.differs for line in settings),
        "everything": everything,
        "query": query,
        "figures": figures(jobs),
        "groups": {key: title for key, (title, _tag) in COMPARED.items()},
        "others": {key: title for key, (title, _tag) in others_of(jobs).items()},
    }
    return render(request, "tuning/compare.html", context)


def others(request: ConsoleRequest, jobs: Sequence[TuningJob]) -> list[TuningJob]:
    """Those to choose from: of the same base model, when one is chosen."""
    found = TuningJob.objects.visible_to(request.user).rows().exclude(pk__in=[job.pk for job in jobs])
    return list(found.filter(base_model=jobs[0].base_model)[:20] if jobs else found[:20])


@require_safe
def metrics(request: ConsoleRequest) -> JsonResponse:
    return JsonResponse(comparison_data(jobs_of(request)[:MAX_JOBS]))
