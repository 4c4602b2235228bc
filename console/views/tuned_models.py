import uuid

from django.db.models import F, Prefetch
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from console.presenters.components.pager import CREATED, Head, paginate
from console.presenters.endpoints.search import words_of
from console.presenters.tuning.progress import JobStand, stand
from console.presenters.tuning.tuned_models import default_checkpoint, matching, other_deployments
from console.web.http import ConsoleRequest, page_or_fragment
from jobs.models import DeployedModel, TuningJob, Visibility
from jobs.models.keyset import Column
from jobs.models.tuning import TuningJobQuerySet
from jobs.services.endpoints import endpoints
from jobs.services.tuned_models import policies
from jobs.states import EndpointState

HEADS = (
    Head("name", _("Name"), Column("display_name", str)),
    Head("version", _("Version"), is_number=True),
    Head("base", _("Base model"), Column("base_model", str)),
    Head("method", _("Method")),
    Head("checkpoint", _("Default checkpoint")),
    Head("endpoints", _("Endpoints")),
    Head("created", _("Created"), CREATED),
)
SHOWN = (
    "display_name", "base_model", "tuning_mode", "tuned_model", "checkpoints", "default_checkpoint", "created_at",
)  # fmt: skip


def list_jobs(request: ConsoleRequest) -> TuningJobQuerySet:
    """Each with its version, and with those of its deployed models that stand for an endpoint in `main_models`, the
    newest first."""
    models = DeployedModel.objects.select_related("endpoint__main_model").filter(endpoint__main_model=F("pk"))
    shown = models.exclude(endpoint__state=EndpointState.DELETED).order_by("-endpoint__created_at", "-endpoint__pk")
    prefetched = Prefetch("deployed_models", shown, to_attr="main_models")
    return TuningJob.objects.visible_to(request.user).with_tuned_model().with_version().prefetch_related(prefetched)


@require_safe
def index(request: ConsoleRequest) -> HttpResponse:
    text = words_of(request.GET)
    is_archived = request.GET.get("is") == "archived"
    visibility = Visibility.ARCHIVED if is_archived else Visibility.LISTED
    models = matching(list_jobs(request).filter(visibility=visibility), text)
    page = paginate(models.only(*SHOWN), request.GET, HEADS)
    context = {
        "page": page,
        "q": text,
        "is_archived": is_archived,
        "rows": [(job, default_checkpoint(job)) for job in page.rows],
    }
    return page_or_fragment(request, "tuned_models/list.html", "table", context)


@require_safe
def detail(request: ConsoleRequest, pk: uuid.UUID) -> HttpResponse:
    job: TuningJob = get_object_or_404(list_jobs(request).select_related("dataset", "validation_dataset"), pk=pk)
    standing: JobStand = stand(job)
    versions = list_jobs(request).filter(display_name=job.display_name).defer("log_text", "data_stats", "description")
    context = {
        "job": job,
        "stand": standing,
        "versions": list(versions),
        "default": default_checkpoint(job),
        "checkpoints": [
            (
                one,
                policies.why_not_deploy_checkpoint(job, one["checkpoint_id"]) if one != default_checkpoint(job) else "",
            )
            for one in job.checkpoints
        ],
        "folder": endpoints.artifact_uri(job),
        "shared": list(other_deployments(job)),
    }
    return render(request, "tuned_models/detail.html", context)
