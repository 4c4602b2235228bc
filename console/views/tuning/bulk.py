"""What is done with several tuning jobs at once: cancel those that were ticked, or take the list away as CSV."""

from collections.abc import Iterable
from itertools import islice

from django.contrib import messages
from django.http import HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext as _, ngettext
from django.views.decorators.http import require_http_methods, require_safe

from console.presenters.components.csv_text import lines
from console.presenters.components.ticks import select_rows
from console.presenters.tuning.job_list import search_jobs
from console.web.http import ConsoleRequest, hx_redirect
from jobs import tasks
from jobs.errors import NotAllowedNow
from jobs.models import TuningJob
from jobs.models.keyset import in_order
from jobs.services.tuned_models import policies as tuned_models
from jobs.services.tuning import jobs as tuning, policies

from .job_list import view_of

MAX_ROWS, CHUNK = 10_000, 500
EXPORTED = (
    "id", "display_name", "state", "base_model", "tuning_mode", "adapter_size", "epochs", "learning_rate", "batch_size",
    "warmup_ratio", "lr_scheduler_type", "weight_decay", "seed", "max_seq_length",
    "location", "step", "total_steps", "train_loss", "eval_loss", "duration", "created_at", "started_at", "ended_at",
    "error_code", "error_message", "output_uri", "resource_name",
)  # fmt: skip


@require_safe
def export(request: ConsoleRequest) -> StreamingHttpResponse:
    """The filtered list in its order, 10,000 rows at most, written while it is read."""
    view = view_of(request)
    jobs = in_order(search_jobs(request.user, view).rows().select_related(None), view.sort.order, CHUNK)
    name = f"tuning-jobs-{timezone.localtime():%Y-%m-%d}.csv"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    some = ([getattr(job, name) for name in EXPORTED] for job in islice(jobs, MAX_ROWS))
    return StreamingHttpResponse(lines(EXPORTED, some), content_type="text/csv; charset=utf-8", headers=headers)


def get_selected_jobs(request: ConsoleRequest, texts: Iterable[str]) -> list[TuningJob]:
    rows = TuningJob.objects.visible_to(request.user).rows().select_related("dataset", "validation_dataset")
    return select_rows(rows, texts)


@require_http_methods(["GET", "HEAD", "POST"])
def cancel(request: ConsoleRequest) -> HttpResponse:
    """GET asks and names the jobs, POST does it."""
    jobs = get_selected_jobs(request, request.POST.getlist("job") or request.GET.getlist("job"))
    live = [job for job in jobs if not policies.why_not_cancel(job)]
    if request.method != "POST":
        loses = dict.fromkeys(map(tuned_models.what_cancelling_loses, live))
        context = {"jobs": live, "left_out": len(jobs) - len(live), "loses": list(loses)}
        return render(request, "tuning/cancel_many.html", context)
    done = sum(try_cancel(job) for job in live)
    words = ngettext("Cancelling %(count)d job", "Cancelling %(count)d jobs", done) % {"count": done}
    messages.info(request, words if done else _("None of these jobs can be cancelled anymore."))
    return hx_redirect(request, "tuning-list")


def try_cancel(job: TuningJob) -> bool:
    """False: it ended in the meantime."""
    try:
        tuning.request_cancel(job)
    except NotAllowedNow:
        return False
    tasks.enqueue_after_commit(tasks.advance_tuning_job, job_id=str(job.pk))
    return True
