"""Taking a tuned model away: the page that offers its forms, and the files themselves."""

import hashlib
import uuid
from collections.abc import Iterable

from django.contrib import messages
from django.http import FileResponse, Http404, HttpResponse, HttpResponseBadRequest
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from console.presenters.tuning.takeaway import archive_name, folder_name, groups_of, offers_of
from console.web.http import ConsoleRequest, hx_redirect, page_or_fragment
from console.web.parts import send_parts
from jobs import tasks
from jobs.models import Takeaway, TakeawayState
from jobs.services.storage import output_files, policies as storage
from jobs.services.tuned_models import takeaways
from jobs.services.tuned_models.choices import list_choices
from jobs.services.tuned_models.content import Content, Segment, of_archive, of_file

from .jobs import visible_job

PAGE = "tuning/take.html"
Sent = HttpResponse | FileResponse


@require_http_methods(["GET", "HEAD", "POST"])
def take(request: ConsoleRequest, pk: uuid.UUID) -> HttpResponse:
    """POST prepares the form `take`, or takes away what was prepared of `remove`."""
    job = visible_job(request, pk)
    listing, is_asked = output_files.ask(job, timezone.now(), again="again" in request.GET)
    if is_asked:
        tasks.enqueue_after_commit(tasks.list_output, job_id=str(job.pk))
    rows = Takeaway.objects.visible_to(request.user).filter(job=job).select_related("job")
    offers = offers_of(list_choices(job, listing), rows)
    if request.method == "POST":
        chosen = next((one for one in offers if one.key == request.POST.get("take", "")), None)
        if chosen is None:
            return HttpResponseBadRequest(_("Choose one of the forms on the page."))
        if request.POST.get("do") == "remove" and chosen.row:
            takeaways.remove(chosen.row)
            messages.info(request, _("What was prepared is gone. The files of the job stay."))
        else:
            row = takeaways.prepare(job, request.user, chosen.choice)
            tasks.enqueue_after_commit(tasks.advance_takeaway, takeaway_id=str(row.pk))
        return hx_redirect(request, f"{reverse('tuning-take', args=[pk])}#{chosen.anchor}")
    is_busy = listing.is_awaited or any(one.row and one.row.state == TakeawayState.WAITING for one in offers)
    context = {"job": job, "listing": listing, "offers": offers, "groups": groups_of(job, offers), "is_busy": is_busy}
    return page_or_fragment(request, PAGE, "offers", context)


def ready_row(request: ConsoleRequest, pk: uuid.UUID) -> Takeaway:
    rows = Takeaway.objects.visible_to(request.user).select_related("job")
    row: Takeaway = get_object_or_404(rows, pk=pk, state=TakeawayState.READY)
    storage.check_can_read(request.user, row.folder)
    return row


@require_safe
def file(request: ConsoleRequest, pk: uuid.UUID, number: int) -> Sent:
    row = ready_row(request, pk)
    if number >= len(row.files):
        raise Http404(f"There is no file {number}.")
    one = row.files[number]
    return send(request, [of_file(one)], one["name"], one["sha256"])


@require_safe
def archive(request: ConsoleRequest, pk: uuid.UUID) -> Sent:
    row = ready_row(request, pk)
    etag = hashlib.sha256(checksums(row).encode()).hexdigest()
    return send(request, of_archive(row.files, folder_name(row)), archive_name(row), etag)


@require_safe
def sums(request: ConsoleRequest, pk: uuid.UUID) -> HttpResponse:
    """For `sha256sum -c`, beside the files."""
    row = ready_row(request, pk)
    headers = {"Content-Disposition": f'attachment; filename="{folder_name(row)}.sha256"'}
    return HttpResponse(checksums(row), content_type="text/plain; charset=utf-8", headers=headers)


def checksums(row: Takeaway) -> str:
    return "".join(f"{one['sha256']}  {one['name']}\n" for one in row.files)


def send(request: ConsoleRequest, segments: Iterable[Segment], name: str, etag: str) -> Sent:
    user = request.user.pk
    takeaways.slots.take(user)
    return send_parts(request, Content(segments, lambda: takeaways.slots.release(user)), name, etag)
