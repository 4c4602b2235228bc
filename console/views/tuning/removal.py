"""Tuning jobs, and the models that they left, out of sight: one page asks, names what uses them, and does it."""

from collections.abc import Callable, Iterable
from urllib.parse import urlencode

from django.contrib import messages
from django.http import HttpResponse, HttpResponseBadRequest
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _, ngettext
from django.views.decorators.http import require_http_methods

from console.forms.tuning.removal import DeleteJobsForm
from console.presenters.tuning.removal import Removal, Removals, removals_of
from console.web.http import ConsoleRequest, hx_redirect, page_or_fragment, safe_next
from jobs import tasks
from jobs.errors import NotAllowedNow
from jobs.services.tuning import removal

from .bulk import get_selected_jobs

PAGE = "tuning/remove.html"
MOST = 50
ARCHIVE, RESTORE, DELETE = "archive", "restore", "delete"


@require_http_methods(["GET", "HEAD", "POST"])
def remove(request: ConsoleRequest) -> HttpResponse:
    """Of the jobs that are named by `job`. GET asks, POST does what `do` says."""
    names = request.POST.getlist("job") or request.GET.getlist("job")
    found, asked = removals_of(get_selected_jobs(request, names[:MOST]), timezone.now())
    for job in asked:
        tasks.enqueue_after_commit(tasks.list_output, job_id=str(job.pk))
    if request.method != "POST":
        return page_or_fragment(request, PAGE, "freed", context(found, form_of(request, found)))
    do = request.POST.get("do")
    if do == DELETE:
        return delete_jobs(request, found)
    if do not in (ARCHIVE, RESTORE):
        return HttpResponseBadRequest(_("Choose to archive, to bring back or to delete."))
    return archive_jobs(request, found) if do == ARCHIVE else restore_jobs(request, found)


def context(found: Removals, form: DeleteJobsForm) -> dict[str, object]:
    named = urlencode([("job", str(row.job.pk)) for row in found.rows])
    return {"found": found, "form": form, "here": f"{reverse('tuning-remove')}?{named}"}


def form_of(request: ConsoleRequest, found: Removals) -> DeleteJobsForm:
    may = {name for name, allowed in (("with_files", found.with_files), ("with_model", found.with_model)) if allowed}
    data = request.POST if request.POST.get("do") == DELETE else None
    return DeleteJobsForm(data, to_type=found.to_type, is_one=len(found.to_delete) == 1, may=may)


def archive_jobs(request: ConsoleRequest, found: Removals) -> HttpResponse:
    done = count_done(found.to_archive, lambda row: removal.archive(row.job))
    words = ngettext("%(count)d job was archived", "%(count)d jobs were archived", done) % {"count": done}
    return back(request, words if done else _("None of these jobs can be archived now."))


def restore_jobs(request: ConsoleRequest, found: Removals) -> HttpResponse:
    done = count_done(found.to_restore, lambda row: removal.restore(row.job))
    words = ngettext("%(count)d job is in the list again", "%(count)d jobs are in the list again", done)
    return back(request, words % {"count": done} if done else _("None of these jobs is archived."))


def delete_jobs(request: ConsoleRequest, found: Removals) -> HttpResponse:
    if not found.to_delete:
        return back(request, _("None of these jobs can be deleted now."))
    form = form_of(request, found)
    if not form.is_valid():
        return render(request, PAGE, context(found, form), status=422)
    files, model = form.cleaned_data.get("with_files", False), form.cleaned_data.get("with_model", False)

    def delete(row: Removal) -> None:
        removal.delete(row.job, files=files and not row.why_not_delete_files, model=model)
        tasks.enqueue_after_commit(tasks.advance_tuning_job, job_id=str(row.job.pk))

    done = count_done(found.to_delete, delete)
    words = ngettext("%(count)d job was deleted", "%(count)d jobs were deleted", done) % {"count": done}
    return back(request, words if done else _("None of these jobs can be deleted now."))


def count_done(rows: Iterable[Removal], do: Callable[[Removal], None]) -> int:
    """Without those that have changed in the meantime."""
    done = 0
    for row in rows:
        try:
            do(row)
        except NotAllowedNow:
            continue
        done += 1
    return done


def back(request: ConsoleRequest, words: str) -> HttpResponse:
    messages.info(request, words)
    return hx_redirect(request, safe_next(request, "tuning-list"))
