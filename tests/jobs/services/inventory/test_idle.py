from datetime import timedelta
from decimal import Decimal

import pytest

from jobs.services.inventory import idle
from tests.support import factories

pytestmark = pytest.mark.django_db
NOW = factories.NOW
LONG, SHORT = NOW - timedelta(days=5), NOW - timedelta(hours=20)
MACHINE = {"machine_type": "g2-standard-12"}


@pytest.fixture(autouse=True)
def on_google(settings):
    settings.VERTEX_API_ENDPOINT = ""


def names(user=None):
    return [one.name for one in idle.list_idle(user or factories.owner(), NOW)]


def test_own_endpoints_that_nobody_asks(fake_gateway):
    factories.ready_endpoint(display_name="never", started_at=LONG, **MACHINE)
    factories.ready_endpoint(display_name="long ago", started_at=LONG, last_request_at=LONG, **MACHINE)
    factories.ready_endpoint(display_name="just now", started_at=LONG, last_request_at=SHORT, **MACHINE)
    factories.ready_endpoint(display_name="new", started_at=SHORT, **MACHINE)
    factories.endpoint(display_name="gone", state="UNDEPLOYED", started_at=LONG, **MACHINE)
    factories.ready_endpoint(display_name="free", started_at=LONG, machine_type="local-cpu")
    assert names() == ["long ago", "never"]
    found = {
        one.name: (one.days(NOW), one.was_used, one.made_here, one.is_found)
        for one in idle.list_idle(factories.owner(), NOW)
    }
    assert found == {"never": (5, False, True, False), "long ago": (5, True, True, False)}


def test_what_was_found_and_costs_the_dearest_first_and_the_unknown_before_all():
    for name, price in (("cheap", 1), ("dear", 9), ("free", 0), ("unknown", None)):
        factories.found_resource(display_name=name, usd_per_hour=price, created_at=LONG)
    factories.found_resource(display_name="new", created_at=SHORT, usd_per_hour=1)
    factories.found_resource(display_name="empty", created_at=LONG, is_running=False)
    factories.found_resource(display_name="a job", kind="custom_job", created_at=LONG)
    assert names() == ["unknown", "dear", "cheap"]
    assert idle.list_idle(factories.owner(), NOW)[1].usd_per_hour == Decimal(9)
    assert names(factories.team_mate()) == []


def test_what_was_attached_is_listed_once_and_its_requests_count_for_all():
    other = factories.user(username="other", is_superuser=True)
    found = factories.found_resource(display_name="found", created_at=LONG, usd_per_hour=1)
    attached = factories.ready_endpoint(
        display_name="attached", made_here=False, resource_name=found.resource_name, started_at=LONG, **MACHINE
    )
    assert (names(), names(other)) == (["attached"], ["found"])
    type(attached).objects.update(last_request_at=NOW - timedelta(days=2))
    assert [(one.days(NOW), one.was_used) for one in idle.list_idle(other, NOW)] == [(2, True)]
    type(attached).objects.update(last_request_at=SHORT)
    assert (names(), names(other)) == ([], [])
