"""The ledger along what the console really does: each step of an endpoint writes what it costs from then on."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from uuid import uuid4

import pytest
from django.utils import timezone

from jobs.models import LedgerEntry
from jobs.services.costs.ledger import Spent, spent_by_group
from jobs.services.costs.machine_prices import price
from jobs.services.endpoints import endpoints
from jobs.services.endpoints.endpoints import DeploymentSpec, Machine
from jobs.services.tuning import removal
from tests.fakes import GEMMA_27B
from tests.support import factories
from tests.support.row_driver import Driver

pytestmark = pytest.mark.django_db
MACHINE = "g2-standard-12"
HOUR = timedelta(hours=1)
CENT = Decimal("0.01")


@pytest.fixture
def driver(fake_gateway):
    fake_gateway.automatic = True
    return Driver()


def deploy(owner, driver, **values):
    spec = DeploymentSpec(
        "Base", publisher_model=factories.BASE_MODEL, accepts_licence=True, machine=Machine(MACHINE), **values
    )
    return driver.until(endpoints.deploy_model(owner, key=uuid4(), spec=spec), state="READY")


def look_later(driver, endpoint):
    """An hour later, as Vertex AI has it then."""
    endpoint.model.refresh_from_db()
    driver.now += HOUR
    driver.step(endpoint)
    return endpoint


def replica_hours():
    return [(one.replicas, None if one.ended_at is None else round((one.ended_at - one.started_at) / HOUR, 1))
            for one in LedgerEntry.objects.all()]  # fmt: skip


def test_scaled_up_undeployed_and_deleted(owner, driver):
    endpoint = deploy(owner, driver)
    assert replica_hours() == [(1, None)]
    look_later(driver, endpoint)
    endpoints.request_replicas(endpoint.model, minimum=3, maximum=3)
    driver.until(endpoint.model, replicas_asked_at=None, operation_name="")
    endpoint.refresh_from_db()
    endpoint.next_check_at = driver.now
    endpoint.save()
    driver.step(endpoint)
    assert replica_hours() == [(1, 1.0), (3, None)]
    look_later(driver, endpoint)
    endpoints.request_undeploy(endpoint)
    driver.until(endpoint, state="UNDEPLOYED")
    expected = (price(MACHINE).usd_per_hour * 4).quantize(CENT)
    assert replica_hours() == [(1, 1.0), (3, 1.0)]
    endpoints.request_delete(endpoint)
    driver.until(endpoint, state="DELETED")
    key = endpoint.pk
    endpoint.delete()
    found = spent_by_group([key], timezone.now() + timedelta(days=9))[key]
    assert abs(found.usd - expected) < Decimal("0.1")
    assert found.unknown == 0


def test_what_others_undeploy_costs_nothing_from_then_on(owner, driver, fake_gateway):
    endpoint = deploy(owner, driver)
    operation = fake_gateway.deployment.undeploy(endpoint.resource_name, endpoint.model.deployed_model_id, {})
    fake_gateway.deployment.finish(operation)
    driver.until(endpoint, state="UNDEPLOYED")
    assert [entry.ended_at is None for entry in LedgerEntry.objects.all()] == [False]


def test_a_deployment_that_is_given_up_costs_nothing(owner, driver):
    spec = DeploymentSpec("Base", publisher_model=factories.BASE_MODEL, accepts_licence=True, machine=Machine(MACHINE))
    endpoint = endpoints.deploy_model(owner, key=uuid4(), spec=spec)
    endpoints.request_delete(endpoint)
    driver.rest(endpoint)
    assert (endpoint.state, LedgerEntry.objects.count()) == ("DELETED", 0)


def test_a_spot_machine_without_a_price_is_unknown(owner, driver):
    endpoint = deploy(owner, driver, spot=True)
    entry = LedgerEntry.objects.get()
    assert (entry.spot, entry.usd_per_hour, entry.machine_type) == (True, None, MACHINE)
    assert spent_by_group([endpoint.pk], timezone.now())[endpoint.pk].unknown == 1


def test_a_job_that_ended_is_in_the_ledger_and_stays_there(owner, fake_gateway):
    driver, tuning, models = Driver(), fake_gateway.tuning, fake_gateway.catalogue.models
    models[GEMMA_27B] = replace(models[GEMMA_27B], can_tune=True, licence="")
    job = driver.until(factories.job(owner=owner, base_model=GEMMA_27B, epochs=2), phase="BOUND")
    tuning.start(job.resource_name, totalBillableTokenCount="500000")
    driver.until(job, state="RUNNING")
    tuning.succeed(job.resource_name)
    driver.rest(job)
    assert spent_by_group([job.pk], timezone.now()) == {job.pk: Spent(Decimal("6.83"))}
    removal.delete(job)
    assert spent_by_group([job.pk], timezone.now()) == {job.pk: Spent(Decimal("6.83"))}
