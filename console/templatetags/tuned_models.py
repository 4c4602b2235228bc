from django import template
from django.template.context import Context
from django.utils.safestring import SafeString

from jobs.models import DeployedModel, Endpoint, TuningJob
from jobs.states import EndpointState

from .stencil import stencil

register = template.Library()


@register.simple_tag(takes_context=True)
def model_actions(context: Context, job: TuningJob, version: int) -> SafeString:
    ready = ready_endpoint(job)
    return stencil(
        context,
        "tuned_models/row_actions.html",
        ready is not None,
        id=job.pk,
        name=job.display_name,
        version=version,
        endpoint=ready.pk if ready else "",
    )


def ready_endpoint(job: TuningJob) -> Endpoint | None:
    """Of those that were fetched with the job."""
    found: list[DeployedModel] = getattr(job, "main_models", [])
    return next((model.endpoint for model in found if model.endpoint.state == EndpointState.READY), None)


@register.filter
def last_part(name: str) -> str:
    """`projects/…/models/123` → `123`."""
    return name.rpartition("/")[2]
