"""An endpoint's state in words, with the stage that a deployment has reached."""

from django import template
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from jobs.models import Endpoint
from jobs.states import EndpointState

register = template.Library()

STAGES: dict[str, str | Promise] = {
    "STARTING_DEPLOYMENT": _("Starting the deployment"),
    "PREPARING_MODEL": _("Preparing the model"),
    "CREATING_SERVING_CLUSTER": _("Creating the serving machines"),
    "ADDING_NODES_TO_CLUSTER": _("Adding machines"),
    "GETTING_CONTAINER_IMAGE": _("Getting the server image"),
    "STARTING_MODEL_SERVER": _("Starting the model server"),
    "FINISHING_UP": _("Finishing up"),
    "DEPLOYMENT_TERMINATED": _("The deployment was ended"),
    "SUCCESSFULLY_DEPLOYED": _("Deployed"),
    "FAILED_TO_DEPLOY": _("The deployment failed"),
}


@register.filter
def stage_words(endpoint: Endpoint) -> str | Promise:
    """Empty unless something is being deployed and Vertex AI has said how far it is."""
    if endpoint.state != EndpointState.DEPLOYING:
        return ""
    return STAGES.get(endpoint.stage, endpoint.stage.replace("_", " ").capitalize())


@register.inclusion_tag("endpoints/status.html")
def endpoint_status(endpoint: Endpoint) -> dict[str, object]:
    return {"endpoint": endpoint, "note": endpoint.error_message or endpoint.notice}


@register.filter
def machine(endpoint: Endpoint) -> str | Promise:
    if not endpoint.machine_type:
        return _("Chosen by Vertex AI")
    if not endpoint.accelerator_count:
        return endpoint.machine_type
    return f"{endpoint.machine_type}, {endpoint.accelerator_count} × {endpoint.accelerator_type.replace('_', ' ')}"
