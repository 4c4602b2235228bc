"""A job whose model joins others on an endpoint: once, with the share that was asked for, or with a reason."""

from datetime import timedelta
from decimal import Decimal
from uuid import uuid4

import pytest
from django.utils import timezone

from jobs.errors import InvalidValues
from jobs.models import DeployedModel, SpendingLimits, SpendingReservation
from jobs.services.costs import spending
from jobs.services.endpoints import endpoints
from jobs.services.tuning import job_files, jobs
from tests.support import factories
from tests.support.row_driver import Driver

pytestmark = pytest.mark.django_db
MINUTE = timedelta(minutes=1)


@pytest.fixture
def driver(fake_gateway):
    fake_gateway.catalogue.acknowledged.add(factories.BASE_MODEL)
    return Driver()


@pytest.fixture
def endpoint(owner):
    return factories.ready_endpoint(display_name="Support", traffic={"4711": 100})


def end_well(endpoint, **values):
    """One look before its page is closed."""
    values = {
        "state": "SUCCEEDED", "phase": "BOUND", "resource_name": "projects/p/locations/l/tuningJobs/1",
        "result_folder": "postprocess/node-0/checkpoints/final", "result_form": "whole",
    } | values  # fmt: skip
    return factories.job(
        auto_deploy=True,
        deploy_endpoint=endpoint,
        joins_endpoint=True,
        endpoint_share=25,
        ended_at=timezone.now(),
        **values,
    )


def joined(job):
    return DeployedModel.objects.filter(job=job)


def test_the_model_joins_the_endpoint_once(driver, endpoint):
    job = end_well(endpoint)
    driver.step(job)
    driver.step(job)
    [model] = joined(job)
    found = (model.endpoint, model.share, model.automatic, model.base_model, model.state)
    assert found == (endpoint, 25, True, job.base_model, "DEPLOYING")
    assert (job.phase, job.join_problem, endpoints.deploy_for_job(job)) == ("CLOSED", "", endpoint)
    assert model.artifact_uri.startswith(job.output_uri)


def test_a_crash_after_the_model_was_added_adds_no_second_one(driver, endpoint):
    job = end_well(endpoint)
    driver.step(job)
    type(job).objects.filter(pk=job.pk).update(phase="BOUND", next_check_at=factories.NOW)
    driver.step(job)
    assert (joined(job).count(), job.phase) == (1, "CLOSED")


def test_an_endpoint_that_was_deleted_is_no_failure_of_the_job(driver, endpoint):
    job = end_well(endpoint)
    type(endpoint).objects.filter(pk=endpoint.pk).update(state="DELETED")
    driver.step(job)
    assert (job.state, job.phase, job.join_problem) == ("SUCCEEDED", "CLOSED", "The endpoint was deleted.")
    assert joined(job).count() == 0
    assert job.events.last().message == "The model was not deployed: The endpoint was deleted."


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"state": "UNDEPLOYED"}, "The endpoint is not ready."),
        ({"traffic": {str(number): 5 for number in range(20)}}, "An endpoint can have at most 20 models."),
    ],
)
def test_an_endpoint_that_changed_is_said_with_its_reason(driver, endpoint, changes, reason):
    job = end_well(endpoint)
    type(endpoint).objects.filter(pk=endpoint.pk).update(**changes)
    driver.step(job)
    assert (job.state, job.join_problem, joined(job).count()) == ("SUCCEEDED", reason, 0)


def test_a_busy_endpoint_is_waited_for(driver, endpoint):
    other = factories.deployed_model(endpoint=endpoint, state="DEPLOYING", phase="BOUND")
    job = end_well(endpoint)
    driver.step(job, later=MINUTE)
    assert (job.phase, joined(job).count(), "as soon as" in job.notice) == ("BOUND", 0, True)
    DeployedModel.objects.filter(pk=other.pk).update(state="READY")
    driver.step(job, later=2 * MINUTE)
    assert (job.phase, joined(job).count(), job.notice) == ("CLOSED", 1, "")


def test_a_cancelled_job_joins_nothing(driver, endpoint):
    job = end_well(endpoint, cancel_requested_at=factories.NOW)
    driver.step(job)
    assert (joined(job).count(), job.join_problem) == (0, "")


def test_its_price_is_reserved_once_and_given_back_when_it_does_not_come(driver, owner, endpoint):
    """With the job, whose start is refused when both are too much."""
    factories.publisher_model(
        data={
            "machine_specs": [
                {"machine_type": "g2-standard-12", "accelerator_type": "NVIDIA_L4", "accelerator_count": 1}
            ]
        }
    )
    SpendingLimits.objects.create(pk=1, person_usd=Decimal(1000), allows_unknown=True)
    spec = factories.tuning_spec(
        owner=owner, auto_deploy=True, deploy_endpoint=endpoint, endpoint_share=5, machine_type="g2-standard-12"
    )
    job = jobs.create(owner, key=uuid4(), spec=spec)
    key = spending.deployment_key(job.pk)
    asked = SpendingReservation.objects.get(pk=key).usd
    assert asked > 0
    type(job).objects.filter(pk=job.pk).update(
        state="SUCCEEDED", phase="BOUND", ended_at=factories.NOW, resource_name="projects/p/locations/l/tuningJobs/1"
    )
    driver.step(job)
    assert (joined(job).count(), SpendingReservation.objects.get(pk=key).usd) == (1, asked)
    assert not SpendingReservation.objects.filter(pk=joined(job).get().pk).exists()

    other = end_well(endpoint)
    spending.reserve(owner, other.pk, {spending.deployment_key(other.pk): Decimal(7)})
    type(endpoint).objects.filter(pk=endpoint.pk).update(state="DELETED")
    driver.step(other)
    assert SpendingReservation.objects.get(pk=spending.deployment_key(other.pk)).usd == 0


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"state": "UNDEPLOYED"}, "Nothing is deployed on this endpoint. Choose another endpoint, or a new one."),
        ({"owner": "stranger"}, "You no longer have this endpoint. Choose another endpoint, or a new one."),
    ],
)
def test_an_endpoint_that_does_not_fit_is_refused_at_the_start(owner, stranger, values, problem):
    factories.publisher_model()
    values = values | ({"owner": stranger} if "owner" in values else {})
    spec = factories.tuning_spec(owner=owner, auto_deploy=True, deploy_endpoint=factories.ready_endpoint(**values))
    with pytest.raises(InvalidValues) as refused:
        jobs.create(owner, key=uuid4(), spec=spec)
    assert [(one.field, one.sentence) for one in refused.value.problems] == [("deploy_endpoint", problem)]


def test_a_file_names_the_endpoint_and_says_when_it_is_not_there(owner, stranger, endpoint):
    job = end_well(endpoint)
    text = job_files.as_text(job)
    assert job_files.load(owner, text).answers["deploy_endpoint"] == endpoint
    elsewhere = job_files.load(stranger, text)
    assert (elsewhere.answers["deploy_endpoint"], elsewhere.missing["deploy_endpoint"]) == (None, str(endpoint.pk))


def test_what_cannot_be_deployed_joins_nothing(driver, endpoint, settings):
    settings.VERTEX_API_ENDPOINT = ""
    job = end_well(endpoint, result_form="adapter")
    driver.step(job)
    assert job.join_problem.startswith("The tuning left an adapter")
    assert joined(job).count() == 0
