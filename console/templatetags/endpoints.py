"""An endpoint's state in words, with the stage that a deployment has reached."""

from collections.abc import Callable, Sequence
from datetime import datetime

from django import template
from django.conf import settings
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.functional import Promise
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.timesince import timeuntil
from django.utils.translation import gettext, gettext_lazy as _

from jobs.models import LOCAL_MACHINE, DeployedModel, Endpoint
from jobs.services.endpoints import policies
from jobs.services.inventory import policies as inventory_policies
from jobs.states import DeployedState

register = template.Library()

STAGES: dict[str, str | Promise] = {
    "STARTING_DEPLOYMENT": _("Starting the deployment"),
    "PREPARING_MODEL": _("Preparing the model"),
    "CREATING_SERVING_CLUSTER": _("Creating the serving machines"),
    "ADDING_NODES_TO_CLUSTER": _("Adding machines"),
    "GETTING_CONTAINER_IMAGE": _("Getting the server image"),
    "STARTING_MODEL_SERVER": _("Starting the model server"),
    "FINISHING_UP": _("Finishing up"),
    "DEPLOYMENT_TERMINATED": _("The deployment was stopped"),
    "SUCCESSFULLY_DEPLOYED": _("Deployed"),
    "FAILED_TO_DEPLOY": _("The deployment failed"),
}


ACTIONS: dict[str, Callable[[Endpoint], str]] = {
    "undeploy": policies.why_not_undeploy,
    "delete": policies.why_not_delete,
    "deploy_again": policies.why_not_deploy_again,
    "detach": inventory_policies.why_not_detach,
    "set_lease": policies.why_not_set_lease,
    "scale": lambda endpoint: policies.why_not_scale(endpoint.model),
}


@register.filter
def endpoint_may(endpoint: Endpoint, action: str) -> bool:
    """One of ACTIONS."""
    return not ACTIONS[action](endpoint)


@register.filter
def stage_words(model: DeployedModel) -> str | Promise:
    """Empty unless something is being deployed and Vertex AI has said how far it is."""
    if model.state != DeployedState.DEPLOYING:
        return ""
    return STAGES.get(model.stage, model.stage.replace("_", " ").capitalize())


@register.inclusion_tag("endpoints/status.html")
def endpoint_status(endpoint: Endpoint) -> dict[str, object]:
    return {"endpoint": endpoint, "note": endpoint.error_message or endpoint.notice or endpoint.model.notice}


@register.filter
def machine(model: DeployedModel) -> str | Promise:
    return machine_words(model.machine_type, model.accelerator_type, model.accelerator_count)


def machine_words(machine_type: str, accelerator_type: str, accelerator_count: int) -> str | Promise:
    if machine_type == LOCAL_MACHINE:
        return _("This computer")
    if not machine_type:
        return _("This computer") if settings.VERTEX_API_ENDPOINT else _("Chosen by Vertex AI")
    if not accelerator_count:
        return machine_type
    return f"{machine_type}, {accelerator_count} × {accelerator_type.replace('_', ' ')}"


@register.filter
def seconds(value: float | None) -> str:
    return "–" if value is None else gettext("%(value).2f s") % {"value": value}


@register.filter
def rate(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f}"


@register.simple_tag
def until(moment: datetime) -> SafeString:
    """A time to come, kept current by the browser; the exact one is in its title."""
    now = timezone.now()
    words = gettext("in %(span)s") % {"span": timeuntil(moment, now)} if moment > now else gettext("now")
    exact = date_format(timezone.localtime(moment), "DATETIME_FORMAT")
    return format_html(
        '<time datetime="{}" title="{}" data-controller="relative-time">{}</time>',
        moment.isoformat(timespec="seconds"), exact, words,
    )  # fmt: skip


@register.inclusion_tag("components/spark.html")
def spark(values: Sequence[int]) -> dict[str, object]:
    """A bar a value, 96 × 24; the number that stands beside it says the sum in words."""
    top, step = max(*values, 1), 96 / len(values)
    tall = [max(22 * value / top, 2) if value else 0 for value in values]
    return {"bars": [_bar(place * step, step, height) for place, height in enumerate(tall) if height]}


def _bar(left: float, step: float, height: float) -> dict[str, float]:
    return {"x": round(left + 0.5, 1), "y": round(23 - height, 1), "width": step - 1, "height": round(height, 1)}
