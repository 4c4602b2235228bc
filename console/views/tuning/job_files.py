"""Jobs as files: out of a draft or a job, and into a new draft."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils.text import slugify
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from console.forms.tuning.job_file import JobFileForm
from console.presenters.tuning.wizard.clone import raw_values
from console.presenters.tuning.wizard.drafts import SENT, Wizard
from console.web.http import ConsoleRequest, hx_redirect, page_or_fragment
from jobs.models import TuningDraft, TuningJob
from jobs.services.tuning import drafts, job_files
from jobs.services.tuning.spec import TuningSpec

from .drafts import request_check


@require_safe
def of_job(request: ConsoleRequest, pk: UUID, *, is_yaml: bool = False) -> HttpResponse:
    jobs = TuningJob.objects.visible_to(request.user).select_related("dataset", "validation_dataset")
    return as_file(get_object_or_404(jobs, pk=pk), is_yaml=is_yaml)


@require_safe
def of_draft(request: ConsoleRequest, pk: UUID, *, is_yaml: bool = False) -> HttpResponse:
    draft = get_object_or_404(TuningDraft.objects.visible_to(request.user), pk=pk)
    wizard = Wizard(draft, request.user)
    planned = wizard.preview_spec
    if planned is None:
        messages.warning(request, _("Finish this step before you save the job as a file."))
        return hx_redirect(request, wizard.url(wizard.next_open))
    return as_file(planned, is_yaml=is_yaml)


def as_file(job: TuningJob | TuningSpec, *, is_yaml: bool) -> HttpResponse:
    ending, text = ("yaml" if is_yaml else "json"), job_files.as_text(job, is_yaml=is_yaml)
    name = f"{slugify(job.display_name) or 'tuning-job'}.{ending}"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return HttpResponse(text, content_type=f"application/{ending}", headers=headers)


@require_http_methods(["GET", "HEAD", "POST"])
def load(request: ConsoleRequest) -> HttpResponse:
    if request.method != "POST":
        return render(request, "tuning/new_import.html", {"form": JobFileForm()})
    form = JobFileForm(request.POST, request.FILES)
    context: dict[str, Any] = {"form": form}
    if form.is_valid():
        try:
            loaded = job_files.load(request.user, form.cleaned_data["text"])
        except job_files.FileRejected as rejected:
            context["problems"] = rejected.problems
        else:
            return open_draft(request, loaded, form.file_name)
    return page_or_fragment(request, "tuning/new_import.html", "form", context, status=422)


def open_draft(request: ConsoleRequest, loaded: job_files.Loaded, file_name: str) -> HttpResponse:
    """Every step counts as sent, so that each shows what is wrong with its values here."""
    steps = {step: values | {SENT: True} for step, values in raw_values(loaded.answers).items()}
    if "validation_dataset" in loaded.missing:
        steps["training"]["use_validation"] = True
    origin = {"file": file_name, "missing": loaded.missing}
    draft = drafts.create(request.user, {**steps, drafts.ORIGIN: origin})
    wizard = with_free_folder(request, draft)
    return hx_redirect(request, wizard.url(wizard.next_open))


def with_free_folder(request: ConsoleRequest, draft: TuningDraft) -> Wizard:
    """In place of one that another job has, or that this person's jobs may not write to."""
    wizard = Wizard(draft, request.user)
    free, wanted = wizard.free_folder, wizard.values("output")["output_uri"]
    if free and not wizard.form("output").is_valid():
        drafts.save_step(draft, "output", {"output_uri": free, SENT: True})
        drafts.save_step(draft, drafts.ORIGIN, wizard.origin | {"folder": wanted})
        wizard = Wizard(draft, request.user)
    request_check(draft, wizard.values("output")["output_uri"])
    return wizard
