"""Of each action in each state of an endpoint: its button is on the pages where the policy allows it, and only there;
where it does not, the service refuses with the policy's sentence."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.utils import timezone

from jobs import errors
from jobs.services.endpoints import deployed_models, endpoints, lifetime, policies
from jobs.services.endpoints.deployed_models import DeployedModelSpec
from jobs.states import DeployedState, EndpointState, Phase
from tests.support import factories
from tests.support.share import each_once

pytestmark = pytest.mark.django_db
STATES = pytest.mark.parametrize("state", EndpointState)
ALREADY_ENDING = {EndpointState.UNDEPLOYING, EndpointState.UNDEPLOYED}


def is_ready(state, _other):
    return state == EndpointState.READY


@pytest.fixture
def pages(client, owner):
    """Whether the endpoint's own page, and the list, lead to an action of it."""
    client.force_login(owner)
    return lambda endpoint, action: [
        f"/endpoints/{endpoint.pk}/{action}/" in client.get(place).content.decode()
        for place in (f"/endpoints/{endpoint.pk}/", "/endpoints/")
    ]


def made(state, **values):
    if state == EndpointState.READY:
        return factories.ready_endpoint(**values)
    is_over = state in (EndpointState.FAILED, EndpointState.DELETED)
    resource = {} if state == EndpointState.DEPLOYING else {"resource_name": f"endpoints/{uuid4()}"}
    return factories.endpoint(state=state, phase=Phase.CLOSED if is_over else Phase.BOUND, **resource | values)


def refuses(reason, action):
    if not reason:
        action()
        return
    with pytest.raises(errors.NotAllowedNow) as refused:
        action()
    assert str(refused.value) == reason


def shown(state, reason):
    """A deleted endpoint has no page."""
    return [state != EndpointState.DELETED and not reason] * 2


@STATES
def test_undeploying(pages, state):
    endpoint = made(state)
    reason = policies.why_not_undeploy(endpoint)
    assert pages(endpoint, "undeploy") == shown(state, reason)
    refuses("" if state in ALREADY_ENDING else reason, lambda: endpoints.request_undeploy(endpoint))


@STATES
def test_deleting(pages, state):
    """Asked twice it is once."""
    endpoint = made(state)
    reason = policies.why_not_delete(endpoint)
    assert pages(endpoint, "delete") == shown(state, reason)
    endpoints.request_delete(endpoint)
    assert endpoint.state in policies.ENDED


@STATES
def test_deploying_again(pages, state):
    endpoint = made(state)
    reason = policies.why_not_deploy_again(endpoint)
    assert pages(endpoint, "again") == shown(state, reason)
    refuses(reason, lambda: endpoints.deploy_again(endpoint))


@STATES
def test_giving_a_lease(pages, state):
    endpoint = made(state)
    reason = policies.why_not_set_lease(endpoint)
    assert pages(endpoint, "lease") == shown(state, reason)
    refuses(reason, lambda: lifetime.set_lease(endpoint, kind="FIXED", hours=2))


@STATES
@pytest.mark.parametrize("ends", [True, False])
def test_extending_a_lease(pages, state, ends):
    end = timezone.now() + timedelta(hours=1)
    endpoint = made(state, lease_kind="FIXED", lease_hours=3, undeploy_at=end if ends else None)
    reason = policies.why_not_extend(endpoint)
    assert pages(endpoint, "extend") == [not reason, False]
    refuses(reason, lambda: lifetime.extend(endpoint, seen=end))


@STATES
def test_changing_the_replicas(pages, state):
    endpoint = made(state)
    reason = policies.why_not_scale(endpoint.model)
    assert pages(endpoint, "replicas") == shown(state, reason)
    refuses(reason, lambda: endpoints.request_replicas(endpoint.model, minimum=2, maximum=2))


@pytest.mark.parametrize(("state", "other"), each_once(EndpointState, [None, *DeployedState], and_where=is_ready))
def test_adding_a_model(pages, state, other):
    endpoint = made(state)
    if other:
        factories.deployed_model(endpoint=endpoint, state=other)
    reason = policies.why_not_add_model(endpoint)
    assert pages(endpoint, "models/add")[0] == (not reason)
    spec = DeployedModelSpec("Another", 10, publisher_model=factories.BASE_MODEL)
    refuses(reason, lambda: deployed_models.add(endpoint, key=uuid4(), spec=spec))


@pytest.mark.parametrize("asked_at", [None, factories.NOW])
@pytest.mark.parametrize("number", [policies.MAX_MODELS - 1, policies.MAX_MODELS])
def test_adding_a_model_while_traffic_changes_or_where_no_more_fit(pages, asked_at, number):
    traffic = {"4711": 100} | {str(one): 0 for one in range(number - 1)}
    endpoint = factories.ready_endpoint(traffic=traffic, traffic_asked_at=asked_at)
    reason = policies.why_not_add_model(endpoint)
    assert (bool(reason), pages(endpoint, "models/add")[0]) == (
        bool(asked_at) or number == policies.MAX_MODELS,
        not reason,
    )
    spec = DeployedModelSpec("Another", 10, publisher_model=factories.BASE_MODEL)
    refuses(reason, lambda: deployed_models.add(endpoint, key=uuid4(), spec=spec))


@STATES
@pytest.mark.parametrize("other", [DeployedState.READY, DeployedState.DEPLOYING])
def test_undeploying_one_of_several(pages, state, other):
    endpoint = made(state, traffic={"4711": 60, "5001": 40})
    model = factories.deployed_model(endpoint=endpoint, state=other)
    reason = policies.why_not_undeploy_model(model)
    assert pages(endpoint, "models/5001/undeploy")[0] == (not reason)
    refuses(reason, lambda: deployed_models.undeploy(endpoint, model.deployed_model_id, {"4711": 100}))


@pytest.mark.parametrize("traffic", [{"4711": 100}, {"4711": 60, "77": 40}])
def test_the_last_one_of_this_console_stays(traffic):
    endpoint = factories.ready_endpoint(traffic=traffic)
    reason = policies.why_not_undeploy_model(endpoint.model)
    assert reason
    refuses(reason, lambda: deployed_models.undeploy(endpoint, "4711", {"77": 100}))
