from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone, translation

from jobs.models import Notification
from jobs.services.endpoints import warnings
from tests.support import factories

pytestmark = pytest.mark.django_db
NOW, HOUR = factories.NOW, timedelta(hours=1)
DAY = 24 * HOUR


def ready(**values):
    defaults = {"started_at": NOW - 3 * DAY, "machine_type": "g2-standard-12", "min_replicas": 2}
    return factories.ready_endpoint(**defaults | values)


def told():
    return [(found.kind, found.title, found.detail) for found in Notification.objects.order_by("created_at")]


@pytest.mark.parametrize(
    ("machine", "detail"),
    [
        ("g2-standard-12", "It costs about $2.30 per hour. Undeploy it or set a time limit."),
        ("", "The price of its machine is unknown. Undeploy it or set a time limit."),
    ],
)
def test_an_endpoint_that_nobody_asks_is_told_of_once(machine, detail):
    endpoint = ready(machine_type=machine, display_name="Base", last_request_at=NOW - 25 * HOUR)
    for hours in (0, 1, 90):
        warnings.warn(NOW + hours * HOUR)
    assert told() == [("endpoint.idle", "No requests to the endpoint Base for a day", detail)]
    assert Notification.objects.get().subject_id == endpoint.pk


def test_all_its_models_cost():
    factories.deployed_model(endpoint=ready(min_replicas=1), machine_type="g2-standard-12", min_replicas=2)
    warnings.warn(NOW)
    assert told()[0][2].startswith("It costs about $3.45 per hour.")


def test_a_new_silence_is_told_of_again():
    endpoint = ready()
    warnings.warn(NOW)
    endpoint.last_request_at = NOW
    endpoint.save()
    warnings.warn(NOW + 23 * HOUR)
    assert len(told()) == 1
    warnings.warn(NOW + 24 * HOUR)
    assert len(told()) == 2


@pytest.mark.parametrize(
    "values",
    [
        {"last_request_at": NOW - HOUR},
        {"started_at": NOW - HOUR},
        {"machine_type": "local-cpu"},
        {"wanted": "UNDEPLOYED"},
        {"state": "UNDEPLOYED"},
        {"undeploy_at": NOW + 16 * timedelta(minutes=1), "last_request_at": NOW},
        {"undeploy_at": NOW - HOUR, "last_request_at": NOW},
    ],
)
def test_who_needs_no_warning_gets_none(values):
    ready(**values)
    warnings.warn(NOW)
    assert told() == []


def test_a_lease_that_ends_soon_is_told_of_once_for_each_end():
    endpoint = ready(display_name="Base", last_request_at=NOW, undeploy_at=NOW + 14 * timedelta(minutes=1))
    for _ in range(2):
        warnings.warn(NOW)
    at = timezone.localtime(endpoint.undeploy_at)
    detail = f"It ends at {at:%H:%M}. If you still need the endpoint, extend the time limit on its page."
    assert told() == [("endpoint.ending", "The time limit of the endpoint Base ends soon", detail)]
    with translation.override("ko"):
        assert told()[0][1] != "The time limit of the endpoint Base ends soon"
    endpoint.undeploy_at += HOUR
    endpoint.save()
    warnings.warn(NOW + HOUR)
    assert len(told()) == 2


def test_many_silent_endpoints_take_five_queries():
    for _ in range(3):
        ready()
    warnings.warn(NOW)
    with CaptureQueriesContext(connection) as queries:
        warnings.warn(NOW + HOUR)
    assert (len(queries), len(told())) == (5, 3)
