"""What happens in Vertex AI without us, or is shown there as nobody expects it: the row follows, and claims nothing."""

import pytest

from jobs.models import Endpoint
from jobs.vertex import get_gateway
from jobs.vertex.errors import NotFound
from tests.faults.test_endpoint_steps import finish_all, one_create
from tests.support import factories
from tests.support.misbehaving_server import answer, bad_server
from tests.support.row_driver import Driver

pytestmark = pytest.mark.django_db


@pytest.fixture
def driver(fake_gateway):
    fake_gateway.catalogue.acknowledged.add(factories.BASE_MODEL)
    return Driver()


@pytest.fixture
def job(driver):
    """It runs, and is to be deployed when it ends well."""
    made = factories.job(next_check_at=driver.now, auto_deploy=True, request_hash="c0ffee00" * 8)
    return driver.until(made, phase="BOUND")


@pytest.fixture
def endpoint(driver, fake_gateway):
    fake_gateway.automatic = True
    return factories.endpoint(next_check_at=driver.now, request_hash="c0ffee00" * 8)


@pytest.mark.fault("F25")
def test_a_lost_operation_is_driven_by_looking(driver, endpoint, fake_gateway):
    fake_gateway.crash("deployment.deploy", after=True)
    driver.until(endpoint, phase="BOUND")
    assert endpoint.model.operation_name == ""
    driver.step(endpoint)
    assert endpoint.state == "DEPLOYING"
    finish_all(fake_gateway)
    driver.until(endpoint, state="READY")
    one_create(fake_gateway, endpoint)


@pytest.mark.fault("F25")
def test_an_expired_operation_is_driven_by_looking(driver, endpoint, fake_gateway):
    driver.until(endpoint, phase="BOUND")
    finish_all(fake_gateway)
    fake_gateway.fail("deployment.get_operation", NotFound("Expired.", "NOT_FOUND"))
    driver.until(endpoint, state="READY")


@pytest.mark.fault("F24")
def test_undeployed_behind_our_back(driver, endpoint, fake_gateway):
    driver.until(endpoint, state="READY")
    fake_gateway.deployment.undeploy(endpoint.resource_name, endpoint.model.deployed_model_id, {})
    finish_all(fake_gateway)
    driver.rest(endpoint)
    assert (endpoint.state, endpoint.notice) == ("UNDEPLOYED", "Its model was undeployed outside this console.")


@pytest.mark.fault("F24")
def test_deleted_behind_our_back(driver, endpoint, fake_gateway):
    driver.until(endpoint, state="READY")
    fake_gateway.deployment.endpoints.clear()
    driver.rest(endpoint)
    assert (endpoint.state, endpoint.notice) == ("DELETED", "It was deleted outside this console.")


@pytest.mark.fault("F24")
def test_a_job_cancelled_by_somebody_else(driver, job, fake_gateway):
    fake_gateway.tuning.start(job.resource_name)
    driver.step(job)
    fake_gateway.tuning.cancel(job.resource_name)
    driver.rest(job)
    assert (job.state, job.phase, Endpoint.objects.count()) == ("CANCELLED", "CLOSED", 0)


@pytest.mark.fault("F24")
def test_a_job_deleted_by_somebody_else_is_not_made_again(driver, job, fake_gateway):
    fake_gateway.tuning.forget(job.resource_name)
    driver.rest(job)
    assert (job.state, job.error_code, len(fake_gateway.creates())) == ("FAILED", "NOT_FOUND", 1)


@pytest.mark.fault("F24")
def test_a_job_whose_labels_somebody_took_away_stays_bound(driver, job, fake_gateway):
    fake_gateway.tuning._change(job.resource_name, labels={})
    fake_gateway.tuning.succeed(job.resource_name)
    driver.rest(job)
    assert (job.state, len(fake_gateway.creates("tuning-job"))) == ("SUCCEEDED", 1)


@pytest.mark.fault("F24")
def test_an_ended_endpoint_does_not_come_back_to_life(driver, endpoint, fake_gateway):
    """Somebody deploys on it again, in Google's console."""
    driver.until(endpoint, state="READY")
    served = fake_gateway.deployment.endpoints[endpoint.resource_name]
    fake_gateway.deployment.undeploy(endpoint.resource_name, endpoint.model.deployed_model_id, {})
    finish_all(fake_gateway)
    driver.rest(endpoint)
    fake_gateway.deployment.endpoints[endpoint.resource_name] = served
    assert (driver.rest(endpoint).state, len(fake_gateway.creates("deployment"))) == ("UNDEPLOYED", 1)


@pytest.mark.fault("F25")
@pytest.mark.parametrize("state", ["UPDATING", "UNSPECIFIED", "99", "<b>DONE</b>"])
def test_an_unknown_state_is_shown_as_it_is(driver, job, fake_gateway, state):
    fake_gateway.tuning.start(job.resource_name)
    driver.step(job)
    fake_gateway.tuning.set_state(job.resource_name, state)
    driver.step(driver.step(job))
    sentence = f"Vertex AI reports the state {state}, which this console does not know."
    told = [event.message for event in job.events.all()].count(sentence)
    assert (job.state, job.notice, told) == ("RUNNING", sentence, 1)
    fake_gateway.tuning.succeed(job.resource_name)
    driver.rest(job)
    assert (job.state, job.notice) == ("SUCCEEDED", "")


@pytest.mark.fault("F25")
def test_running_after_it_ended_changes_nothing(driver, job, fake_gateway):
    """One more look comes after the end, and reads the log only."""
    fake_gateway.tuning.succeed(job.resource_name)
    while job.state != "SUCCEEDED":
        driver.step(job)
    ended = job.ended_at
    fake_gateway.tuning.set_state(job.resource_name, "RUNNING")
    driver.rest(job)
    assert (job.state, job.phase, job.ended_at, Endpoint.objects.count()) == ("SUCCEEDED", "CLOSED", ended, 1)


@pytest.mark.fault("F25")
@pytest.mark.parametrize("end", ["SUCCEEDED", "FAILED", "EXPIRED", "PARTIALLY_SUCCEEDED"])
def test_a_state_may_jump_to_its_end(driver, job, fake_gateway, end):
    """Nobody saw it prepared or running, and Vertex AI gives no times, no reason and no result."""
    fake_gateway.storage.put_model(f"{job.output_uri}/postprocess/node-0/checkpoints/final")
    fake_gateway.tuning.set_state(job.resource_name, end)
    driver.rest(job)
    assert (job.state, job.phase, job.ended_at is None) == (end, "CLOSED", False)
    assert Endpoint.objects.count() == (1 if end == "SUCCEEDED" else 0)


@pytest.mark.fault("F25")
def test_a_success_without_a_result_is_no_endpoint(driver, job, fake_gateway):
    """The files of the tuned model are missing: the job says so, and nothing is deployed."""
    fake_gateway.tuning.set_state(job.resource_name, "SUCCEEDED")
    driver.rest(job)
    assert (job.state, Endpoint.objects.count(), fake_gateway.creates("deployment")) == ("SUCCEEDED", 0, [])
    warnings = [event.message for event in job.events.filter(level="WARNING")]
    assert any(text.startswith("No model was found in the output directory gs://") for text in warnings)
    assert any(text.startswith("The model was not deployed: ") for text in warnings)


@pytest.mark.fault("F25")
@pytest.mark.parametrize("body", [{}, {"state": 99}, {"state": "JOB_STATE_BRAND_NEW"}, {"state": ""}, {"name": ""}])
def test_an_answer_of_a_newer_vertex_ai(db, settings, body):
    """Through Google's own client: a state that it does not know is no crash, and no end."""
    driver = Driver()
    name = "projects/1/locations/us-central1/tuningJobs/7"
    job = factories.job(next_check_at=driver.now, phase="BOUND", state="RUNNING", resource_name=name)
    with bad_server(answer(200, {"name": name, "newField": {"a": [1]}} | body)) as server:
        settings.VERTEX_API_ENDPOINT, settings.VERTEX_GATEWAY = server.address, "jobs.vertex.sdk.Gateway"
        get_gateway.cache_clear()
        driver.step(job)
        get_gateway.cache_clear()
    assert (job.state, job.phase, bool(job.notice), job.strikes) == ("RUNNING", "BOUND", True, 0)


@pytest.mark.fault("F25")
def test_an_operation_that_expired_after_a_failure_is_no_success(driver, endpoint, fake_gateway):
    """Nothing is deployed, and nobody can say why any more."""
    fake_gateway.automatic = False
    driver.until(endpoint, phase="BOUND")
    fake_gateway.deployment.operations.clear()
    fake_gateway.deployment.endpoints.clear()
    driver.rest(endpoint)
    assert (endpoint.state, len(fake_gateway.creates("deployment"))) in {("FAILED", 1), ("DELETED", 1)}
