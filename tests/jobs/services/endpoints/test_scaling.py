from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from jobs import errors
from jobs.services.endpoints import endpoints
from jobs.services.endpoints.endpoints import DeploymentSpec, Machine
from jobs.vertex.errors import Unavailable
from tests.support import factories
from tests.support.row_driver import Driver

pytestmark = pytest.mark.django_db
SECOND = timedelta(seconds=1)
MACHINE = Machine("n2-standard-8")


@pytest.fixture
def driver(fake_gateway):
    fake_gateway.automatic = True
    return Driver()


def deployed(owner, driver, **values):
    defaults: dict[str, Any] = {"publisher_model": factories.BASE_MODEL, "accepts_licence": True, "machine": MACHINE}
    spec = DeploymentSpec("Base", **defaults | values)
    return driver.until(endpoints.deploy_model(owner, key=uuid4(), spec=spec), state="READY")


def replicas(endpoint):
    endpoint.refresh_from_db()
    return endpoint.model.min_replicas, endpoint.model.max_replicas


def remote(gateway, endpoint):
    model = gateway.deployment.endpoints[endpoint.resource_name].deployed_models[0]
    return model.min_replicas, model.max_replicas


def told(endpoint):
    return [event.message for event in endpoint.events.all()]


def settled(driver, endpoint):
    driver.until(endpoint.model, replicas_asked_at=None, operation_name="")
    endpoint.refresh_from_db()
    return endpoint


def test_they_are_chosen_with_the_machine(owner, driver, fake_gateway):
    endpoint = deployed(owner, driver, min_replicas=2, max_replicas=3)
    assert (remote(fake_gateway, endpoint), endpoint.model.available_replicas) == ((2, 3), 2)
    assert "deployment.scale" not in fake_gateway.calls


def test_without_a_machine_they_are_asked_for_afterwards(owner, driver, fake_gateway):
    endpoint = settled(driver, deployed(owner, driver, machine=None, max_replicas=3))
    assert remote(fake_gateway, endpoint) == replicas(endpoint) == (1, 3)


@pytest.mark.parametrize(("low", "high"), [(0, 1), (2, 1), (1, 101)])
def test_a_range_that_makes_no_sense_is_refused(owner, driver, low, high):
    with pytest.raises(errors.NotAllowedNow):
        deployed(owner, driver, min_replicas=low, max_replicas=high)
    with pytest.raises(errors.NotAllowedNow):
        endpoints.request_replicas(factories.ready_endpoint().model, minimum=low, maximum=high)


def test_they_are_changed_while_it_serves(owner, driver, fake_gateway):
    endpoint = deployed(owner, driver)
    endpoints.request_replicas(endpoint.model, minimum=1, maximum=4)
    settled(driver, endpoint)
    assert (endpoint.state, remote(fake_gateway, endpoint)) == ("READY", (1, 4))
    assert told(endpoint)[-2:] == ["You requested this number of replicas: 1–4.", "Current number of replicas: 1–4."]


def test_asked_before_it_is_sent_it_goes_with_the_request(owner, driver, fake_gateway):
    spec = DeploymentSpec("Base", factories.BASE_MODEL, accepts_licence=True, machine=MACHINE)
    endpoint = endpoints.deploy_model(owner, key=uuid4(), spec=spec)
    endpoints.request_replicas(endpoint.model, minimum=2, maximum=2)
    settled(driver, driver.until(endpoint, state="READY"))
    assert (remote(fake_gateway, endpoint), fake_gateway.calls.count("deployment.scale")) == ((2, 2), 0)


def test_a_double_click_is_one_change(owner, driver, fake_gateway):
    endpoint = deployed(owner, driver)
    for _click in range(2):
        endpoints.request_replicas(endpoint.model, minimum=2, maximum=2)
    settled(driver, endpoint)
    assert (
        fake_gateway.calls.count("deployment.scale"),
        told(endpoint).count("You requested this number of replicas: 2."),
    ) == (1, 1)


def test_a_refusal_is_told_and_the_row_follows_vertex_ai(owner, driver, fake_gateway):
    endpoint = deployed(owner, driver)
    fake_gateway.refuse("deployment.scale", "No quota for 9 machines.")
    endpoints.request_replicas(endpoint.model, minimum=9, maximum=9)
    driver.step(settled(driver, endpoint))
    assert (replicas(endpoint), endpoint.state) == ((1, 1), "READY")
    assert told(endpoint)[-1] == "The number of replicas was not changed: No quota for 9 machines."


def test_an_operation_that_fails_is_told(owner, driver, fake_gateway):
    endpoint = deployed(owner, driver)
    fake_gateway.deployment.slow_removals = True
    endpoints.request_replicas(endpoint.model, minimum=9, maximum=9)
    driver.step(endpoint)
    fake_gateway.deployment.fail(endpoint.model.operation_name, message="Out of machines.")
    driver.step(settled(driver, endpoint))
    assert (replicas(endpoint), told(endpoint)[-1]) == (
        (1, 1), "The number of replicas was not changed: Out of machines.",
    )  # fmt: skip


def test_changed_elsewhere_the_row_follows(owner, driver, fake_gateway):
    endpoint = deployed(owner, driver)
    fake_gateway.deployment._scaled(endpoint.resource_name, "4711", 3, 5)
    driver.step(endpoint)
    assert (replicas(endpoint), endpoint.model.available_replicas) == ((3, 5), 3)


def test_asked_again_during_the_change_the_last_word_counts(owner, driver, fake_gateway):
    endpoint = deployed(owner, driver)
    endpoints.request_replicas(endpoint.model, minimum=2, maximum=2)
    asked = iter([lambda: endpoints.request_replicas(endpoint.model, minimum=3, maximum=3)])
    fake_gateway.during("deployment.scale", lambda: next(asked, lambda: None)())
    settled(driver, endpoint)
    assert remote(fake_gateway, endpoint) == replicas(endpoint) == (3, 3)


def test_asked_during_a_look_it_is_not_lost(owner, driver, fake_gateway):
    endpoint = deployed(owner, driver)
    asked = iter([lambda: endpoints.request_replicas(endpoint.model, minimum=3, maximum=3)])
    fake_gateway.during("deployment.get_endpoint", lambda: next(asked, lambda: None)())
    driver.step(endpoint)
    assert (replicas(endpoint), endpoint.model.next_check_at - driver.now < SECOND) == ((3, 3), True)


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("call", ["get_endpoint", "scale", "get_operation"])
def test_death_while_changing(owner, driver, fake_gateway, call, after):
    endpoint = deployed(owner, driver)
    fake_gateway.crash(f"deployment.{call}", after=after)
    endpoints.request_replicas(endpoint.model, minimum=2, maximum=4)
    settled(driver, endpoint)
    assert (endpoint.state, remote(fake_gateway, endpoint), replicas(endpoint)) == ("READY", (2, 4), (2, 4))


def test_an_answer_that_was_lost_is_asked_for_again(owner, driver, fake_gateway):
    endpoint = deployed(owner, driver)
    fake_gateway.fail("deployment.scale", Unavailable("No answer.", "UNAVAILABLE"), after=True)
    endpoints.request_replicas(endpoint.model, minimum=2, maximum=2)
    settled(driver, endpoint)
    assert remote(fake_gateway, endpoint) == (2, 2)


def test_undeployed_during_a_change_it_goes(owner, driver, fake_gateway):
    endpoint = deployed(owner, driver)
    endpoints.request_replicas(endpoint.model, minimum=2, maximum=2)
    driver.step(endpoint)
    endpoints.request_undeploy(endpoint)
    driver.rest(endpoint)
    assert (endpoint.state, fake_gateway.deployment.endpoints[endpoint.resource_name].deployed_models) == (
        "UNDEPLOYED", (),
    )  # fmt: skip


def test_nothing_deployed_has_no_replicas():
    with pytest.raises(errors.NotAllowedNow):
        endpoints.request_replicas(factories.endpoint(state="UNDEPLOYED").model, minimum=1, maximum=1)
