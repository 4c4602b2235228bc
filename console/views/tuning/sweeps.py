"""A sweep's page: its jobs with what they vary, their figures and their curves."""

from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST, require_safe

from console.presenters.tuning.charts import comparison_data
from console.presenters.tuning.comparisons.sweep import CHARTS, context, jobs_of
from console.web.http import ConsoleRequest, hx_redirect, page_or_fragment
from jobs import tasks
from jobs.models import Sweep
from jobs.services.tuning.sweeps import sweeps


def visible_sweep(request: ConsoleRequest, pk: UUID) -> Sweep:
    return get_object_or_404(Sweep.objects.visible_to(request.user), pk=pk)


@require_safe
def detail(request: ConsoleRequest, pk: UUID) -> HttpResponse:
    found = context(request.user, visible_sweep(request, pk), request.GET.get("sort", ""))
    return page_or_fragment(request, "tuning/sweep.html", "table", found)


@require_safe
def metrics(request: ConsoleRequest, pk: UUID) -> JsonResponse:
    return JsonResponse(comparison_data(jobs_of(visible_sweep(request, pk)), CHARTS))


@require_POST
def cancel(request: ConsoleRequest, pk: UUID) -> HttpResponse:
    sweep = visible_sweep(request, pk)
    cancelled = sweeps.cancel_all(sweep)
    for job in cancelled:
        tasks.enqueue_after_commit(tasks.advance_tuning_job, job_id=str(job.pk))
    words = ngettext("Cancelling %(count)d job", "Cancelling %(count)d jobs", len(cancelled))
    messages.info(request, words % {"count": len(cancelled)})
    return hx_redirect(request, "tuning-sweep", pk)
