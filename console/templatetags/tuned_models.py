from django import template

from jobs.models import Endpoint, TuningJob
from jobs.states import EndpointState

register = template.Library()


@register.filter
def ready_endpoint(job: TuningJob) -> Endpoint | None:
    """Of those that were fetched with the job."""
    found: list[Endpoint] = getattr(job, "shown_endpoints", [])
    return next((endpoint for endpoint in found if endpoint.state == EndpointState.READY), None)


@register.filter
def last_part(name: str) -> str:
    """`projects/…/models/123` → `123`."""
    return name.rpartition("/")[2]
