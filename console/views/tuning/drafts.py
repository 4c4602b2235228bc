"""Drafts as a list, the check of a draft's output folder, and a failed job as a new draft."""

from typing import Any
from uuid import UUID

from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from console.presenters.tuning.wizard.clone import draft_values
from console.presenters.tuning.wizard.drafts import SENT, TITLES
from console.presenters.tuning.wizard.output_form import output_form
from console.presenters.tuning.wizard.output_state import output_state
from console.web.http import ConsoleRequest, hx_redirect
from jobs import tasks
from jobs.models import TuningDraft, TuningJob
from jobs.services.tuning import drafts, output_check
from jobs.states import TUNING_UNSUCCESSFUL

DRAFTS_SHOWN = 200


@require_safe
def index(request: ConsoleRequest) -> HttpResponse:
    opened = TuningDraft.objects.visible_to(request.user).open()[:DRAFTS_SHOWN]
    rows = [
        {
            "draft": draft,
            "base_model": draft.data.get("base-model", {}).get("base_model", ""),
            "done": list_done_steps(draft),
        }
        for draft in opened
    ]
    return render(request, "tuning/new_drafts.html", {"rows": rows})


def list_done_steps(draft: TuningDraft) -> list[Any]:
    """The steps that were sent, right or wrong."""
    return [title for step, title in TITLES.items() if SENT in draft.data.get(step, {})]


@require_http_methods(["GET", "HEAD", "POST"])
def check_output(request: ConsoleRequest, pk: UUID) -> HttpResponse:
    """POST asks the worker about the folder that was typed; GET tells what is known."""
    draft = get_object_or_404(TuningDraft.objects.visible_to(request.user).open(), pk=pk)
    uri = request.GET.get("output_uri", "") or str(draft.output_check.get("uri", ""))
    if request.method == "POST":
        uri = request_check(draft, request.POST.get("output_uri", ""))
    context = {"draft": draft, "check": output_state(draft, uri, timezone.now())}
    return render(request, "tuning/new_output_check.html", context)


def request_check(draft: TuningDraft, typed: str) -> str:
    """Nothing is asked about what is no free folder: the form says that when it is sent."""
    form = output_form({"output_uri": typed}, draft=draft, user=draft.owner)
    if not form.is_valid():
        return typed
    uri: str = form.cleaned_data["output_uri"]
    if output_check.ask(draft, uri, timezone.now()):
        tasks.enqueue_after_commit(tasks.check_output, draft_id=str(draft.pk))
    return uri


@require_POST
def retry(request: ConsoleRequest, pk: UUID) -> HttpResponse:
    """A new draft with all settings, under the next free name; it shows why the job ended."""
    job = get_object_or_404(TuningJob.objects.visible_to(request.user).select_related("dataset"), pk=pk)
    values = draft_values(job)
    values["name"]["display_name"] = drafts.free_name(request.user, job.display_name)
    origin = {"job": str(job.pk), "is_retry": job.state in TUNING_UNSUCCESSFUL}
    draft = drafts.create(request.user, {**values, drafts.ORIGIN: origin})
    return hx_redirect(request, "tuning-draft", draft.pk, "name")
