"""What may be done with an endpoint and its models now: the only place that decides it. Buttons ask `why_not_…`, which
gives a sentence or nothing; services ask `check_can_…`, which raises it, on the row that they have locked."""

from jobs.errors import refuse_for
from jobs.models import DeployedModel, Endpoint
from jobs.services.catalogue import regions
from jobs.states import DeployedState, EndpointState
from jobs.text.deferred import gettext as _

MAX_MODELS = 20
SERVING = frozenset({EndpointState.DEPLOYING, EndpointState.READY})
ENDED = frozenset({EndpointState.DELETING, EndpointState.DELETED})
OVER = frozenset({EndpointState.FAILED, EndpointState.UNDEPLOYED, *ENDED})
ON_IT = frozenset({DeployedState.DEPLOYING, DeployedState.READY})


def why_not_touch(endpoint: Endpoint) -> str:
    """What was not made here is nobody's of this console: administrators answer for it. Reads its owner."""
    if endpoint.made_here or endpoint.owner.is_superuser:
        return ""
    return _("This endpoint wasn't made here. Only an administrator can change it.")


def why_not_undeploy(endpoint: Endpoint) -> str:
    if endpoint.state == EndpointState.UNDEPLOYING or endpoint.wanted == EndpointState.UNDEPLOYED:
        return _("The model is already undeployed or being undeployed.")
    if endpoint.state not in SERVING:
        return _("Nothing is deployed on this endpoint. Delete it if you do not need it.")
    return why_not_touch(endpoint)


def why_not_delete(endpoint: Endpoint) -> str:
    is_going = endpoint.state in ENDED or endpoint.wanted == EndpointState.DELETED
    if is_going and endpoint.state != EndpointState.FAILED:
        return _("The endpoint is being deleted.")
    return why_not_touch(endpoint)


def why_not_deploy_again(endpoint: Endpoint) -> str:
    if not endpoint.made_here:
        return _("This endpoint wasn't made here, so the console doesn't know how. Deploy its model from Model Garden.")
    return "" if endpoint.state in OVER else _("The model is already deployed here or being deployed.")


def why_not_set_lease(endpoint: Endpoint) -> str:
    if not endpoint.made_here:
        return _("This endpoint wasn't made here, so only a person undeploys it. A time limit never does.")
    if endpoint.state not in SERVING:
        return _("Nothing is deployed on this endpoint, so there is nothing to undeploy later.")
    return ""


def why_not_extend(endpoint: Endpoint) -> str:
    has_end = endpoint.undeploy_at is not None and endpoint.lease_hours is not None
    if endpoint.state == EndpointState.READY and has_end:
        return ""
    return _("There is no time limit to extend. Reload the page.")


def why_not_scale(model: DeployedModel) -> str:
    """Reads its endpoint."""
    if model.endpoint.state not in SERVING or model.state not in ON_IT:
        return _("Nothing is deployed on this endpoint, so it has no replicas.")
    return why_not_touch(model.endpoint)


def why_not_change_models(endpoint: Endpoint) -> str:
    """One change at a time: a deployment sets the shares of traffic when it ends. One query."""
    if endpoint.state != EndpointState.READY:
        return _("The endpoint is not ready.")
    if endpoint.deployed_models.transient().exists():
        return _("A model is being deployed or undeployed here. Wait until it's done.")
    return why_not_touch(endpoint)


def why_not_add_model(endpoint: Endpoint) -> str:
    return why_not_change_models(endpoint) or why_no_room(endpoint)


def why_no_room(endpoint: Endpoint) -> str:
    """For another model on an endpoint whose models may be changed."""
    if endpoint.traffic_asked_at:
        return _("The traffic split is being changed. Wait until it's done.")
    if len(endpoint.traffic) >= MAX_MODELS:
        return _("An endpoint can have at most %d models.") % MAX_MODELS
    return ""


def why_not_join(endpoint: Endpoint, region: str = "") -> str:
    """With a model that comes when its tuning job succeeds: what passes by itself until then is no reason. `region`:
    where the job runs; of `global` nobody knows it yet."""
    if endpoint.state not in SERVING or endpoint.wanted != EndpointState.READY:
        return _("Nothing is deployed on this endpoint.")
    if regions.has_choice() and region not in ("", *regions.NO_REGIONS, endpoint.location):
        words = {"there": endpoint.location, "here": region}
        return _("The endpoint is in %(there)s, and the model is tuned in %(here)s.") % words
    if len(endpoint.traffic) >= MAX_MODELS:
        return _("An endpoint can have at most %d models.") % MAX_MODELS
    return why_not_touch(endpoint)


def is_busy(endpoint: Endpoint) -> bool:
    """With what ends by itself, so that waiting for it helps. One query."""
    if endpoint.state == EndpointState.DEPLOYING or endpoint.traffic_asked_at:
        return True
    return endpoint.state == EndpointState.READY and endpoint.deployed_models.transient().exists()


def why_not_undeploy_model(model: DeployedModel) -> str:
    """Of one that is being deployed, its deployment is given up. Another one of this console's has to stay, which
    stands for the endpoint then."""
    endpoint = model.endpoint
    if model.state == DeployedState.DEPLOYING:
        return why_not_touch(endpoint) if endpoint.state == EndpointState.READY else _("The endpoint is not ready.")
    if reason := why_not_change_models(endpoint):
        return reason
    if set(endpoint.traffic) <= {model.deployed_model_id}:
        return _("This is the only model on the endpoint. Undeploy the endpoint instead.")
    others = endpoint.deployed_models.filter(state=DeployedState.READY).exclude(pk=model.pk)
    if not others.filter(deployed_model_id__in=endpoint.traffic).exists():
        return _("The other models were deployed outside this console. Undeploy this one there, too.")
    return ""


def check_can_undeploy(endpoint: Endpoint) -> None:
    refuse_for(why_not_undeploy(endpoint))


def check_can_delete(endpoint: Endpoint) -> None:
    refuse_for(why_not_delete(endpoint))


def check_can_deploy_again(endpoint: Endpoint) -> None:
    refuse_for(why_not_deploy_again(endpoint))


def check_can_set_lease(endpoint: Endpoint) -> None:
    refuse_for(why_not_set_lease(endpoint))


def check_can_extend(endpoint: Endpoint) -> None:
    refuse_for(why_not_extend(endpoint))


def check_can_scale(model: DeployedModel) -> None:
    refuse_for(why_not_scale(model))


def check_can_change_models(endpoint: Endpoint) -> None:
    refuse_for(why_not_change_models(endpoint))


def check_can_add_model(endpoint: Endpoint) -> None:
    refuse_for(why_not_add_model(endpoint))


def check_can_undeploy_model(model: DeployedModel) -> None:
    refuse_for(why_not_undeploy_model(model))
