"""The first entries of the ledger, from the rows of an installation that had none."""

from datetime import timedelta
from decimal import Decimal
from importlib import import_module

import pytest
from django.apps import apps

from jobs.models import DeployedModel, Endpoint, LedgerEntry
from jobs.services.catalogue import facts
from jobs.services.costs import machine_prices
from tests.support import factories
from tests.support.factories import NOW

pytestmark = pytest.mark.django_db
migration = import_module("jobs.migrations.0058_ledger_backfill")
HOUR = timedelta(hours=1)
MACHINE = "g2-standard-12"


def insert_endpoint(state, **values):
    values = {"machine_type": MACHINE, "started_at": NOW, "min_replicas": 2, "max_replicas": 4} | values
    endpoint = factories.endpoint(**values)
    DeployedModel.objects.filter(pk=endpoint.pk).update(state=state)
    return endpoint


def entries():
    migration.write_entries(apps, None)
    return {entry.group_id: entry for entry in LedgerEntry.objects.all()}


def test_what_runs_goes_on_and_what_ran_has_ended():
    running = insert_endpoint("READY", available_replicas=3)
    ended = insert_endpoint("UNDEPLOYED", ended_at=NOW + 2 * HOUR)
    never = insert_endpoint("FAILED", started_at=None)
    found = entries()
    assert (found[running.pk].replicas, found[running.pk].ended_at, found[running.pk].usd) == (3, None, None)
    assert (found[ended.pk].replicas, found[ended.pk].usd) == (2, 4 * Decimal("1.1507"))
    assert (never.pk in found, len(found)) == (False, 2)


@pytest.mark.parametrize("values", [{"location": "europe-west4"}, {"spot": True}, {"machine_type": ""}])
def test_what_had_no_price_is_unknown(values):
    ended = insert_endpoint("UNDEPLOYED", ended_at=NOW + HOUR, **values)
    found = entries()[ended.pk]
    assert (found.usd, found.usd_per_hour, found.price_source) == (None, None, "")


def test_trainings_are_kept_with_the_tokens_that_were_counted():
    job = factories.job(
        state="SUCCEEDED", phase="CLOSED", base_model="google/gemma3@gemma-3-27b-it", epochs=2, ended_at=NOW,
        data_stats={"totalBillableTokenCount": "500000"},
    )  # fmt: skip
    factories.job(
        state="FAILED", phase="CLOSED", data_stats={"totalBillableTokenCount": "500000"}, output_uri="gs://b/1"
    )
    factories.job(state="SUCCEEDED", phase="CLOSED", output_uri="gs://b/2")
    assert {key: (entry.kind, entry.usd) for key, entry in entries().items()} == {job.pk: ("TUNING", Decimal("6.83"))}


def test_twice_is_once():
    insert_endpoint("READY")
    assert len(entries()) == len(entries()) == LedgerEntry.objects.count() == 1


def test_what_ran_on_this_computer_gets_no_entries(settings):
    local = insert_endpoint("READY", machine_type="local-cpu")
    assert local.pk not in entries()
    settings.VERTEX_API_ENDPOINT = "http://127.0.0.1:8085"
    insert_endpoint("READY")
    assert entries() == {}


def test_the_prices_are_those_of_the_table_of_then():
    """Those that came later had no job before it."""
    listed = {name for name in migration.USD_PER_HOUR if machine_prices.price(name)}
    assert listed == set(migration.USD_PER_HOUR)
    priced = {
        name
        for name in facts._all_facts()["models"]
        if (known := facts.tuning_facts(name)) and known.usd_per_million_tokens
    }
    assert set(migration.USD_PER_MILLION_TOKENS) <= priced
    assert Endpoint.objects.count() == 0
