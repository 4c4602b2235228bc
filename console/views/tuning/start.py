"""The end of a draft: a job, or a sweep of jobs."""

from collections.abc import Iterable
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from console.forms.fields import StepForm, report_problems
from console.presenters.tuning.wizard.drafts import SENT, Wizard
from console.presenters.tuning.wizard.fields import label_of
from console.presenters.tuning.wizard.page import render_step
from console.web.http import ConsoleRequest, hx_redirect
from jobs import errors, tasks
from jobs.models import TuningDraft
from jobs.services.tuning import jobs
from jobs.services.tuning.sweeps import sweeps

from .drafts import request_check
from .new import own_draft, redirect_to_first_open_step, redirect_to_result, save_draft, send_step


@require_http_methods(["GET", "HEAD", "POST"])
def start(request: ConsoleRequest, pk: UUID) -> HttpResponse:
    """The draft's id is the job's: a second click, or a reload, comes to the same job."""
    draft = own_draft(request, pk)
    if request.method != "POST":
        return hx_redirect(request, "tuning-draft", pk, "deployment")
    try:
        return redirect_to_result(request, draft) if draft.submitted_at else start_or_say_why(request, draft)
    except errors.NotAllowedNow:
        draft.refresh_from_db()
        if draft.submitted_at:
            return redirect_to_result(request, draft)
        raise


def start_or_say_why(request: ConsoleRequest, draft: TuningDraft) -> HttpResponse:
    wizard = Wizard(draft, request.user)
    if not wizard.may_open("deployment"):
        messages.warning(request, _("Finish this step before you start tuning."))
        return redirect_to_first_open_step(request, wizard, "deployment")
    form = wizard.form("deployment", request.POST)
    if request.POST.get("action") == "save":
        return save_draft(request, wizard, "deployment", form)
    form, conflicts = send_step(request, wizard, "deployment", form, {SENT: True})
    if conflicts or not form.is_valid() or not create_job(request, wizard, form):
        again = Wizard(draft, request.user)
        return render_step(request, again, "deployment", form, status=422, conflicts=conflicts)
    return redirect_to_result(request, draft)


def create_job(request: ConsoleRequest, wizard: Wizard, form: StepForm) -> bool:
    """From the steps as they were judged a moment ago: what has become wrong meanwhile, the service says."""
    try:
        if wizard.varied:
            return create_sweep(request, wizard, form)
        job = jobs.create(request.user, key=wizard.draft.pk, spec=wizard.spec(form.cleaned_data))
    except errors.InvalidValues as error:
        report_with_titles(form, error.problems)
        if any(problem.field == "output_uri" for problem in error.problems):
            request_check(wizard.draft, wizard.valid_steps["output"]["output_uri"])
        return False
    except errors.JobsError as error:
        form.add_error(None, str(error))
        return False
    tasks.enqueue_after_commit(tasks.advance_tuning_job, job_id=str(job.pk))
    messages.success(request, _("Tuning of %(name)s started.") % {"name": job.display_name})
    return True


def create_sweep(request: ConsoleRequest, wizard: Wizard, form: StepForm) -> bool:
    spec = wizard.spec(form.cleaned_data)
    sweep = sweeps.create(request.user, key=wizard.draft.pk, spec=spec, varied=wizard.varied)
    for pk in sweep.jobs.values_list("pk", flat=True):
        tasks.enqueue_after_commit(tasks.advance_tuning_job, job_id=str(pk))
    messages.success(request, _("The sweep %(name)s started.") % {"name": sweep.display_name})
    return True


def report_with_titles(form: StepForm, problems: Iterable[errors.Problem]) -> None:
    """A field of an earlier step is named, since it is not on this page."""
    there = list(problems)
    report_problems(form, [problem for problem in there if problem.field in form.fields])
    for problem in there:
        if problem.field not in form.fields:
            form.add_error(None, f"{label_of(problem.field)}: {problem.sentence}")
