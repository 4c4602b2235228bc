import uuid
from typing import Any

from django.contrib import messages
from django.db.models import Count, Q, QuerySet
from django.http import HttpResponse, HttpResponseBadRequest, JsonResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.html import escape
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from console.http import ConsoleRequest, hx_redirect, page_or_fragment, safe_next
from jobs import tasks
from jobs.models import Endpoint, EventLevel, TuningDraft, TuningJob, series
from jobs.services import drafts, endpoints, tuning
from jobs.states import TUNING_LIVE

from .clone import draft_values
from .job_charts import TAGS, chart_data
from .job_figures import figures_context
from .job_progress import stand
from .paging import page_of

LOG_LINES_SHOWN = 500


def visible_job(request: ConsoleRequest, pk: uuid.UUID) -> TuningJob:
    jobs = TuningJob.objects.visible_to(request.user).select_related("dataset", "validation_dataset")
    job: TuningJob = get_object_or_404(jobs, pk=pk)
    return job


@require_safe
def index(request: ConsoleRequest) -> HttpResponse:
    jobs = TuningJob.objects.visible_to(request.user)
    chosen = request.GET.get("state", "")
    page = page_of(in_state(jobs, chosen).rows(), request.GET)
    context = {
        "chosen": chosen,
        "counts": counts(jobs),
        "page": page,
        "ready": ready_endpoints(page.rows),
        "drafts": TuningDraft.objects.visible_to(request.user).open()[:10],
    }
    return page_or_fragment(request, "tuning/list.html", "table", context)


def counts(jobs: Any) -> dict[str, int]:
    found: dict[str, int] = jobs.aggregate(all=Count("pk"), running=Count("pk", filter=Q(state__in=TUNING_LIVE)))
    return {**found, "done": found["all"] - found["running"]}


def in_state(jobs: Any, chosen: str) -> Any:
    if chosen == "running":
        return jobs.live()
    return jobs.ended() if chosen == "done" else jobs


def ready_endpoints(jobs: list[TuningJob]) -> dict[uuid.UUID, Endpoint]:
    """A ready endpoint a job, for those that have one, in one query."""
    found: QuerySet[Endpoint] = Endpoint.objects.ready().filter(job__in=jobs)
    return {endpoint.job_id: endpoint for endpoint in found if endpoint.job_id}


@require_safe
def row(request: ConsoleRequest, pk: uuid.UUID) -> HttpResponse:
    job = visible_job(request, pk)
    return render(request, "tuning/list.html#row", {"job": job, "ready": ready_endpoints([job])})


@require_safe
def detail(request: ConsoleRequest, pk: uuid.UUID) -> HttpResponse:
    job = visible_job(request, pk)
    context = {
        "job": job,
        "stand": stand(job),
        "log_text": shown_log(job),
        **events_of(job, request.GET.get("level", "")),
        **figures_context(job),
    }
    return render(request, "tuning/job.html", context)


@require_safe
def status(request: ConsoleRequest, pk: uuid.UUID) -> HttpResponse:
    job = visible_job(request, pk)
    return render(
        request, "tuning/job.html#status", {"job": job, "stand": stand(job), "is_update": True, **figures_context(job)}
    )


@require_safe
def metrics(request: ConsoleRequest, pk: uuid.UUID) -> JsonResponse:
    job = visible_job(request, pk)
    return JsonResponse(chart_data(series(job, TAGS), job.checkpoints))


@require_safe
def log(request: ConsoleRequest, pk: uuid.UUID) -> HttpResponse:
    """The end of the training log as HTML text; with `?download` all that is kept, with `?events` the console's own."""
    job = visible_job(request, pk)
    if "download" in request.GET:
        headers = {"Content-Disposition": f'attachment; filename="{job.pk}.log"'}
        return HttpResponse(job.log_text, content_type="text/plain; charset=utf-8", headers=headers)
    if "events" in request.GET:
        return render(request, "tuning/job.html#events", {"job": job, **events_of(job, request.GET.get("level", ""))})
    return HttpResponse(escape(shown_log(job)))


def shown_log(job: TuningJob) -> str:
    return "\n".join(job.log_text.splitlines()[-LOG_LINES_SHOWN:])


def events_of(job: TuningJob, level: str) -> dict[str, Any]:
    events = job.events.all()
    if level == "problems":
        events = events.exclude(level=EventLevel.INFO)
    return {"events": list(events), "level": level}


@require_POST
def cancel(request: ConsoleRequest, pk: uuid.UUID) -> HttpResponse:
    job = visible_job(request, pk)
    tuning.request_cancel(job)
    tasks.kick(tasks.advance_tuning_job, job_id=str(job.pk))
    messages.info(request, _("Cancelling %(name)s") % {"name": job.display_name})
    return hx_redirect(request, safe_next(request, reverse("tuning-job", args=[pk])))


@require_POST
def decide(request: ConsoleRequest, pk: uuid.UUID) -> HttpResponse:
    job = visible_job(request, pk)
    again = request.POST.get("again")
    if again not in {"yes", "no"}:
        return HttpResponseBadRequest(_("Choose to start again or to give up."))
    tuning.decide(job, again=again == "yes")
    tasks.kick(tasks.advance_tuning_job, job_id=str(job.pk))
    return hx_redirect(request, "tuning-job", pk)


@require_POST
def deploy(request: ConsoleRequest, pk: uuid.UUID) -> HttpResponse:
    job = visible_job(request, pk)
    standing = stand(job)
    if standing.why_not_deployed:
        return hx_redirect(request, "tuning-job", pk)
    endpoint = endpoints.deploy_model(request.user, key=standing.deploy_key, spec=deployment_spec(job))
    tasks.kick(tasks.advance_endpoint, endpoint_id=str(endpoint.pk))
    return hx_redirect(request, "endpoint-detail", endpoint.pk)


def deployment_spec(job: TuningJob) -> endpoints.DeploymentSpec:
    return endpoints.DeploymentSpec(
        display_name=job.endpoint_display_name or job.display_name,
        job=job,
        accepts_licence=job.accepts_licence,
        machine=endpoints.offered_machine(job.base_model, job.machine_type),
    )


@require_POST
def clone(request: ConsoleRequest, pk: uuid.UUID) -> HttpResponse:
    job = visible_job(request, pk)
    draft = drafts.create(request.user)
    for step, values in draft_values(job).items():
        drafts.save_step(draft, step, values)
    return hx_redirect(request, "tuning-draft", draft.pk, "name")
