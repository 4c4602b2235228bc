"""Drafts as a list, the check of a draft's output folder, and a job as a new draft."""

from typing import Any
from uuid import UUID

from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from console.presenters.tuning.wizard.clone import continued_values, draft_values, rename
from console.presenters.tuning.wizard.drafts import SENT, Wizard
from console.presenters.tuning.wizard.fields import TITLES, step_of
from console.presenters.tuning.wizard.output_form import output_form
from console.presenters.tuning.wizard.output_state import output_state
from console.web.http import ConsoleRequest, hx_redirect
from jobs import tasks
from jobs.models import TuningDraft, TuningJob
from jobs.services.diagnosis import of_job
from jobs.services.tuned_models import continuation
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
def clone(request: ConsoleRequest, pk: UUID) -> HttpResponse:
    job = own_job(request, pk)
    wizard = fill_draft(request, draft_values(job), {"job": str(job.pk)})
    return hx_redirect(request, wizard.url("name"))


@require_POST
def retry(request: ConsoleRequest, pk: UUID) -> HttpResponse:
    """A new draft with all settings, under the next free name, at the step that is at fault; it shows why the job
    ended."""
    job = own_job(request, pk)
    values = draft_values(job)
    rename(values, drafts.free_name(request.user, job.display_name))
    wizard = fill_draft(request, values, {"job": str(job.pk), "is_retry": job.state in TUNING_UNSUCCESSFUL})
    return open_step(request, wizard, step_of(drafts.find_field(job) or of_job.find_field(job)) or "name")


@require_POST
def continue_job(request: ConsoleRequest, pk: UUID) -> HttpResponse:
    """A new draft that goes on from the model of a job, or from its `checkpoint`: to be looked through where the model
    is to learn more, ready to start where a job ended early."""
    job = own_job(request, pk)
    start = continuation.start_of(job, request.POST.get("checkpoint", ""))
    values = continued_values(start)
    if not job.is_tuned:
        rename(values, drafts.free_name(request.user, job.display_name))
    wizard = fill_draft(request, values, {"job": str(job.pk), "start": start.uri})
    return open_step(request, wizard, "name" if job.is_tuned else "deployment")


def own_job(request: ConsoleRequest, pk: UUID) -> TuningJob:
    jobs = TuningJob.objects.visible_to(request.user).select_related("dataset", "validation_dataset")
    job: TuningJob = get_object_or_404(jobs, pk=pk)
    return job


def fill_draft(request: ConsoleRequest, values: dict[str, dict[str, Any]], origin: dict[str, Any]) -> Wizard:
    """Every step but the last counts as sent, so that each shows what is wrong with its values, and the summary what
    they amount to. The folder is a free one, and it is asked about."""
    sent = {step: found if step == "deployment" else found | {SENT: True} for step, found in values.items()}
    draft = drafts.create(request.user, {**sent, drafts.ORIGIN: origin})
    free = Wizard(draft, request.user).free_folder
    if free:
        drafts.save_step(draft, "output", {"output_uri": free, SENT: True})
        request_check(draft, free)
    return Wizard(draft, request.user)


def open_step(request: ConsoleRequest, wizard: Wizard, step: str) -> HttpResponse:
    return hx_redirect(request, wizard.url(step if wizard.may_open(step) else wizard.next_open))
