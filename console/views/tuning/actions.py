"""What is done with one tuning job: each is a POST that a service carries out."""

import uuid

from django.contrib import messages
from django.http import Http404, HttpResponse, HttpResponseBadRequest
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from console.presenters.tuning.progress import JobStand, stand
from console.web.http import ConsoleRequest, hx_redirect, safe_next
from jobs import tasks
from jobs.models import TuningJob
from jobs.services.diagnosis import job_fixes
from jobs.services.endpoints import endpoints
from jobs.services.tuned_models import checkpoints, policies
from jobs.services.tuning import jobs, policies as tuning_policies, queue

from .jobs import visible_job


@require_POST
def cancel(request: ConsoleRequest, pk: uuid.UUID) -> HttpResponse:
    job = visible_job(request, pk)
    jobs.request_cancel(job)
    tasks.enqueue_after_commit(tasks.advance_tuning_job, job_id=str(job.pk))
    messages.info(request, _("Cancelling %(name)s") % {"name": job.display_name})
    return hx_redirect(request, safe_next(request, reverse("tuning-job", args=[pk])))


@require_POST
def decide(request: ConsoleRequest, pk: uuid.UUID) -> HttpResponse:
    job = visible_job(request, pk)
    again = request.POST.get("again")
    if again not in {"yes", "no"}:
        return HttpResponseBadRequest(_("Choose to start again or to give up."))
    jobs.decide(job, again=again == "yes")
    tasks.enqueue_after_commit(tasks.advance_tuning_job, job_id=str(job.pk))
    return hx_redirect(request, "tuning-job", pk)


@require_POST
def deploy(request: ConsoleRequest, pk: uuid.UUID) -> HttpResponse:
    """The default checkpoint, or the one named by `checkpoint`, which may be served beside others."""
    job, checkpoint = visible_job(request, pk), request.POST.get("checkpoint", "")
    standing = stand(job)
    if is_deployed(standing, checkpoint) if checkpoint else standing.why_not_deploy:
        return hx_redirect(request, "tuning-job", pk)
    spec = deployment_spec(job, checkpoint)
    endpoint = endpoints.deploy_model(request.user, key=standing.deploy_key(checkpoint), spec=spec)
    tasks.enqueue_endpoint(endpoint)
    return hx_redirect(request, "endpoint-detail", endpoint.pk)


def is_deployed(standing: JobStand, checkpoint: str) -> bool:
    folders = checkpoints.folders(standing.job, checkpoint)
    live = filter(policies.is_live, standing.endpoints)
    return any(endpoint.model.artifact_uri in folders for endpoint in live)


def deployment_spec(job: TuningJob, checkpoint: str) -> endpoints.DeploymentSpec:
    """An endpoint of one checkpoint is named after it: the model's own may stand beside it."""
    name = job.endpoint_display_name or job.display_name
    return endpoints.DeploymentSpec(
        display_name=f"{name[:100]}-checkpoint-{checkpoint}" if checkpoint else name,
        job=job,
        checkpoint=checkpoint,
        accepts_licence=job.accepts_licence,
        machine=endpoints.find_machine(job.base_model, job.machine_type),
    )


@require_POST
def set_default(request: ConsoleRequest, pk: uuid.UUID) -> HttpResponse:
    job, checkpoint = visible_job(request, pk), request.POST.get("checkpoint", "")
    checkpoints.set_default(job, checkpoint)
    messages.info(request, _("Checkpoint %(id)s is now the default") % {"id": checkpoint})
    return hx_redirect(request, safe_next(request, reverse("tuning-job", args=[pk])))


@require_POST
def move(request: ConsoleRequest, pk: uuid.UUID) -> HttpResponse:
    job, to = visible_job(request, pk), request.POST.get("to", "")
    if to not in tuning_policies.MOVES:
        return HttpResponseBadRequest(_("Choose to move the job up, down or to the top."))
    queue.move(job, to)
    tasks.enqueue_after_commit(tasks.advance_tuning_job, job_id=str(job.pk))
    return hx_redirect(request, safe_next(request, "tuning-list"))


@require_POST
def fix(request: ConsoleRequest, pk: uuid.UUID) -> HttpResponse:
    """What the page offers against the failure: leads to the job that goes on in place of this one."""
    job = visible_job(request, pk)
    made = job_fixes.mend(job, request.POST.get("fix", ""))
    for one in (job, made):
        tasks.enqueue_after_commit(tasks.advance_tuning_job, job_id=str(one.pk))
    messages.success(request, _("%(name)s is in the queue.") % {"name": made.display_name})
    return hx_redirect(request, "tuning-job", made.pk)


@require_POST
def pause_queue(request: ConsoleRequest) -> HttpResponse:
    refuse_others(request)
    queue.pause(request.user)
    messages.info(request, _("The queue is paused"))
    return hx_redirect(request, safe_next(request, "tuning-list"))


@require_POST
def resume_queue(request: ConsoleRequest) -> HttpResponse:
    refuse_others(request)
    queue.resume(request.user)
    for pk in queue.waiting().values_list("pk", flat=True)[:1]:
        tasks.enqueue_after_commit(tasks.advance_tuning_job, job_id=str(pk))
    messages.info(request, _("The queue goes on"))
    return hx_redirect(request, safe_next(request, "tuning-list"))


def refuse_others(request: ConsoleRequest) -> None:
    if reason := tuning_policies.why_not_steer(request.user):
        raise Http404(reason)
