"""What may be done with what was not made here. It is nobody's of this console, so only administrators see it; nothing
is changed by looking at it, and nothing but a person changes it."""

from django.contrib.auth.models import User

from jobs.errors import refuse_for
from jobs.models import Endpoint, FoundKind, FoundResource
from jobs.states import EndpointState
from jobs.text.deferred import gettext as _


def why_not_look(user: User) -> str:
    return "" if user.is_superuser else _("Only an administrator can see what wasn't made here.")


def why_not_attach(user: User, found: FoundResource) -> str:
    """To the endpoints of this person, to chat with it, to compare it, and to undeploy it."""
    if reason := why_not_look(user):
        return reason
    if found.kind != FoundKind.ENDPOINT:
        return _("Only an endpoint can be attached.")
    if not found.facts.get("models"):
        return _("No model is deployed on this endpoint, so it can't answer and costs nothing.")
    return ""


def why_not_detach(endpoint: Endpoint) -> str:
    if endpoint.made_here:
        return _("This endpoint was made here. Undeploy or delete it instead.")
    if endpoint.state == EndpointState.DELETED:
        return _("The endpoint isn't in your list anymore.")
    if endpoint.is_transient or endpoint.deployed_models.transient().exists():
        return _("The endpoint is being changed. Wait until it's done.")
    return ""


def check_can_attach(user: User, found: FoundResource) -> None:
    refuse_for(why_not_attach(user, found))


def check_can_detach(endpoint: Endpoint) -> None:
    refuse_for(why_not_detach(endpoint))
