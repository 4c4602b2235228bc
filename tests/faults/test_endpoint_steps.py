"""An endpoint is created once and removed for good, whatever dies on the way."""

from typing import Any

import pytest

from jobs.services.diagnosis import of_endpoint
from jobs.services.diagnosis.causes import Cause
from jobs.services.endpoints import endpoints
from jobs.services.remote.create_once import MAX_SENDS
from jobs.vertex.errors import StockOut
from jobs.vertex.values import RemoteEndpoint
from tests.support import factories
from tests.support.row_driver import Driver
from tests.support.share import each_once

pytestmark = [pytest.mark.django_db, pytest.mark.fault("F26")]


@pytest.fixture
def driver(fake_gateway):
    fake_gateway.catalogue.acknowledged.add(factories.BASE_MODEL)
    fake_gateway.automatic = True
    return Driver()


@pytest.fixture
def endpoint(db, driver):
    return factories.endpoint(next_check_at=driver.now, request_hash="c0ffee00" * 8)


def one_create(gateway, endpoint):
    assert gateway.creates("deployment") == [endpoint.resource_name]


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("call", ["get_endpoint", "get_operation", "deploy"])
def test_death_while_deploying(driver, endpoint, fake_gateway, call, after):
    fake_gateway.crash(f"deployment.{call}", after=after)
    adopt_by_hand(fake_gateway)
    driver.until(endpoint, state="READY")
    one_create(fake_gateway, endpoint)


@pytest.mark.parametrize("fault", ["drop_after", "drop_before", "not_sent", "over_quota"])
def test_a_deploy_that_goes_wrong(driver, endpoint, fake_gateway, fault):
    getattr(fake_gateway, fault)("deployment.deploy")
    adopt_by_hand(fake_gateway)
    driver.until(endpoint, state="READY")
    one_create(fake_gateway, endpoint)


def test_a_stock_out_ends_at_once_with_google_s_words(driver, endpoint, fake_gateway):
    reason = 'Machine type temporarily unavailable. Machine type: "g2-standard-12".'
    fake_gateway.fail("deployment.deploy", StockOut(reason, "UNAVAILABLE"))
    driver.rest(endpoint)
    assert (endpoint.state, endpoint.error_message, endpoint.model.attempt) == ("FAILED", reason, 1)
    assert of_endpoint.diagnose(endpoint).cause == Cause.STOCK_OUT


def test_what_leaves_no_trace_is_not_sent_for_ever(driver, endpoint, fake_gateway):
    fake_gateway.drop_before("deployment.deploy", times=MAX_SENDS)
    driver.rest(endpoint)
    words = "The request was sent 8 times, and Vertex AI created nothing. Try again later."
    assert (endpoint.state, endpoint.error_message, endpoint.model.attempt) == ("FAILED", words, MAX_SENDS)
    assert of_endpoint.diagnose(endpoint).fixes == ("again",)


def test_a_failed_deployment_says_why_and_can_be_deleted(driver, endpoint, fake_gateway):
    driver.until(endpoint, phase="BOUND")
    fake_gateway.deployment.fail(endpoint.model.operation_name)
    driver.rest(endpoint)
    assert (endpoint.state, endpoint.error_code) == ("FAILED", "FAILED_PRECONDITION")
    assert endpoint.error_message == (
        "Model server never became ready. Choose another machine or region, or deploy again."
    )
    endpoints.request_delete(endpoint)
    driver.rest(endpoint)
    assert (endpoint.state, fake_gateway.deployment.endpoints) == ("DELETED", {})


def test_an_endpoint_id_taken_by_another_is_not_adopted(driver, endpoint, fake_gateway):
    name = fake_gateway.deployment.endpoint_name(endpoint.endpoint_user_id)
    fake_gateway.deployment.endpoints[name] = RemoteEndpoint(name, "Theirs", {"app-key": "other"}, "", ())
    driver.rest(endpoint)
    assert (endpoint.state, endpoint.phase, endpoint.error_code) == ("FAILED", "CLOSED", "ALREADY_EXISTS")
    endpoints.request_delete(endpoint)
    assert (endpoint.state, name in fake_gateway.deployment.endpoints) == ("DELETED", True)


def test_a_model_id_taken_by_another_is_told_after_one_request(driver, endpoint, fake_gateway):
    """However often it were sent, the name stays taken."""
    deployment = fake_gateway.deployment
    deployment.models[deployment.model_name(endpoint.model.model_user_id)] = "Theirs"
    driver.rest(endpoint)
    assert (endpoint.state, endpoint.error_code, endpoint.model.attempt) == ("FAILED", "ALREADY_EXISTS", 1)
    assert of_endpoint.diagnose(endpoint).fixes == ("again",)
    assert (of_endpoint.diagnose(endpoint).cause, deployment.endpoints) == ("taken", {})


@pytest.mark.parametrize("call", ["get_endpoint", "undeploy", "get_operation"])
@pytest.mark.parametrize("after", [False, True])
def test_death_while_undeploying(driver, endpoint, fake_gateway, call, after):
    driver.until(endpoint, state="READY")
    endpoints.request_undeploy(endpoint)
    fake_gateway.crash(f"deployment.{call}", after=after)
    driver.rest(endpoint)
    assert endpoint.state == "UNDEPLOYED"
    assert fake_gateway.deployment.endpoints[endpoint.resource_name].deployed_models == ()


@pytest.mark.parametrize(
    ("call", "fault"),
    each_once(
        ["get_endpoint", "undeploy", "get_operation", "delete_endpoint", "delete_model"],
        ["crash", "unavailable", "drop_after"],
    ),
)
def test_trouble_while_deleting(driver, endpoint, fake_gateway, call, fault):
    driver.until(endpoint, state="READY")
    endpoints.request_delete(endpoint)
    getattr(fake_gateway, fault)(f"deployment.{call}")
    driver.rest(endpoint)
    assert (endpoint.state, endpoint.phase) == ("DELETED", "CLOSED")
    assert (fake_gateway.deployment.endpoints, fake_gateway.deployment.models) == ({}, {})


def test_before_anything_was_sent_there_is_nothing_to_remove(endpoint, fake_gateway):
    endpoints.request_undeploy(endpoint)
    assert (endpoint.state, endpoint.next_check_at, fake_gateway.calls) == ("DELETED", None, [])


@pytest.mark.parametrize("ask", [endpoints.request_undeploy, endpoints.request_delete])
@pytest.mark.parametrize("call", ["get_endpoint", "deploy"])
def test_asked_during_the_submission(driver, endpoint, fake_gateway, ask, call):
    fake_gateway.during(f"deployment.{call}", once(lambda: ask(endpoint)))
    driver.rest(endpoint)
    assert endpoint.state in ("UNDEPLOYED", "DELETED")
    assert not any(remote.deployed_models for remote in fake_gateway.deployment.endpoints.values())


@pytest.mark.parametrize("ask", [endpoints.request_undeploy, endpoints.request_delete])
def test_asked_while_it_deploys_waits_for_the_deployment(driver, endpoint, fake_gateway, ask):
    fake_gateway.automatic = False
    driver.until(endpoint, phase="BOUND")
    ask(endpoint)
    driver.until(endpoint, notice="Waiting for Vertex AI to finish the deployment first.")
    fake_gateway.deployment.finish(endpoint.model.operation_name)
    driver.rest(endpoint)
    assert endpoint.state == endpoint.wanted
    assert not any(remote.deployed_models for remote in fake_gateway.deployment.endpoints.values())


def test_asked_while_the_operation_is_lost_waits_for_the_model(driver, endpoint, fake_gateway):
    fake_gateway.crash("deployment.deploy", after=True)
    driver.until(endpoint, phase="BOUND")
    endpoints.request_undeploy(endpoint)
    driver.step(endpoint)
    assert endpoint.state == "UNDEPLOYING"
    finish_all(fake_gateway)
    driver.rest(endpoint)
    assert endpoint.state == "UNDEPLOYED"
    assert fake_gateway.deployment.endpoints[endpoint.resource_name].deployed_models == ()


def test_an_unreachable_vertex_keeps_a_ready_endpoint_ready(driver, endpoint, fake_gateway):
    driver.until(endpoint, state="READY")
    fake_gateway.unavailable("deployment.get_endpoint")
    driver.step(endpoint)
    assert (endpoint.state, endpoint.notice) == ("READY", "Vertex AI does not answer.")
    driver.step(endpoint)
    assert (endpoint.state, endpoint.notice) == ("READY", "")


def adopt_by_hand(gateway):
    """A deployment whose operation nobody asks for ends by itself, too."""

    def finish():
        if gateway.calls.count("deployment.get_endpoint") > 3:
            finish_all(gateway)

    gateway.during("deployment.get_endpoint", finish)


def finish_all(gateway):
    for name, operation in list(gateway.deployment.operations.items()):
        if not operation.state.done:
            gateway.deployment.finish(name)


def once(action):
    done: list[Any] = []

    def run():
        if not done:
            done.append(True)
            action()

    return run
