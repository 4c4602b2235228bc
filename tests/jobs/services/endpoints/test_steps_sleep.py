"""An endpoint without a replica: asleep when the server tells so, and otherwise what it says."""

from dataclasses import replace
from uuid import uuid4

import pytest

from jobs.services.endpoints import endpoints
from jobs.services.endpoints.endpoints import DeploymentSpec
from tests.support import factories
from tests.support.row_driver import Driver

pytestmark = pytest.mark.django_db


@pytest.fixture
def driver(fake_gateway):
    fake_gateway.automatic = True
    return Driver()


@pytest.fixture
def endpoint(owner, driver):
    spec = DeploymentSpec("Base", factories.BASE_MODEL, accepts_licence=True)
    return driver.until(endpoints.deploy_model(owner, key=uuid4(), spec=spec), state="READY")


def seen(gateway, driver, endpoint, **model):
    """What a look makes of the endpoint when its deployed model is so."""
    found = gateway.deployment.endpoints[endpoint.resource_name]
    (deployed,) = found.deployed_models
    gateway.deployment.endpoints[endpoint.resource_name] = replace(found, deployed_models=(replace(deployed, **model),))
    driver.step(endpoint)
    return endpoint.state, endpoint.is_asleep, endpoint.model.available_replicas, endpoint.notice


def test_one_that_sleeps_is_nothing_to_be_warned_of(fake_gateway, driver, endpoint):
    assert seen(fake_gateway, driver, endpoint, available_replicas=0, is_asleep=True) == ("READY", True, 0, "")


def test_awake_again(fake_gateway, driver, endpoint):
    seen(fake_gateway, driver, endpoint, available_replicas=0, is_asleep=True)
    assert seen(fake_gateway, driver, endpoint, available_replicas=1, is_asleep=False) == ("READY", False, 1, "")


def test_without_a_word_nobody_knows_why(fake_gateway, driver, endpoint):
    notice = "No replica is running right now. Vertex AI might be starting one."
    assert seen(fake_gateway, driver, endpoint, available_replicas=0) == ("READY", False, 0, notice)


def test_what_vertex_ai_says_is_passed_on(fake_gateway, driver, endpoint):
    notice = "No replica is running right now. Vertex AI reports: The model server is starting."
    told = {"available_replicas": 0, "message": "The model server is starting."}
    assert seen(fake_gateway, driver, endpoint, **told) == ("READY", False, 0, notice)


def test_undeployed_it_does_not_sleep(fake_gateway, driver, endpoint):
    seen(fake_gateway, driver, endpoint, available_replicas=0, is_asleep=True)
    endpoints.request_undeploy(endpoint)
    driver.rest(endpoint)
    assert (endpoint.state, endpoint.is_asleep) == ("UNDEPLOYED", False)


def test_a_model_that_fell_asleep_before_it_was_seen_is_ready(owner, driver, fake_gateway):
    spec = DeploymentSpec("Base", factories.BASE_MODEL, accepts_licence=True)
    endpoint = endpoints.deploy_model(owner, key=uuid4(), spec=spec)
    driver.until(endpoint.model, operation_name="", phase="BOUND")
    endpoint.refresh_from_db()
    seen(fake_gateway, driver, endpoint, available_replicas=0, is_asleep=True)
    assert endpoint.state == "READY"
