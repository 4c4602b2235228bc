"""How often Google is asked for figures and logs, what is kept of the answers, and what follows from them."""

from datetime import timedelta

import pytest

from jobs.models import EndpointReport
from jobs.services.endpoints.reports import reports
from jobs.vertex.errors import NotAuthorised, Unavailable
from tests.support import factories

pytestmark = pytest.mark.django_db
NOW = factories.NOW.replace(second=0, microsecond=0)
LACKING = "The role roles/monitoring.viewer is missing. Run: gcloud projects add-iam-policy-binding …"


@pytest.fixture
def endpoint():
    return factories.ready_endpoint()


def add_requests(gateway, endpoint, *ages, failed=False):
    """So many minutes ago, by any program."""
    moments = [(NOW - timedelta(minutes=age), failed, 0.5) for age in ages]
    gateway.monitoring.requests.setdefault(endpoint.resource_name, []).extend(moments)


def asks(endpoint, *seconds):
    return [reports.ask(endpoint, "1d", NOW + timedelta(seconds=second)) for second in seconds]


def read(endpoint, kind="1h", now=NOW):
    reports.ask(endpoint, kind, now)
    reports.run(endpoint.pk, kind, now)
    return reports.find(endpoint, kind)


def test_however_many_look_one_answer_holds_for_a_minute(endpoint, fake_gateway):
    assert [reports.ask(endpoint, "1d", NOW + timedelta(seconds=second)) for second in (0, 1, 20)] == [
        True,
        False,
        False,
    ]
    reports.run(endpoint.pk, "1d", NOW + timedelta(seconds=21))
    reports.run(endpoint.pk, "1d", NOW + timedelta(seconds=22))
    assert fake_gateway.calls.count("monitoring.traffic") == 1
    assert asks(endpoint, 40, 59, 61, 62) == [False, False, True, False]
    assert reports.ask(endpoint, "log", NOW)


def test_a_question_that_was_lost_is_asked_again(endpoint):
    assert [reports.ask(endpoint, "1d", NOW + timedelta(seconds=second)) for second in (0, 29, 31)] == [
        True,
        False,
        True,
    ]


def test_what_vertex_ai_does_not_have_yet_is_not_asked_for():
    assert not reports.ask(factories.endpoint(state="DEPLOYING", resource_name=""), "1d", NOW)


def test_all_requests_by_part(endpoint, fake_gateway):
    add_requests(fake_gateway, endpoint, 2, 3, 58)
    add_requests(fake_gateway, endpoint, 4, failed=True)
    parts = reports.traffic_of(read(endpoint), NOW)
    assert (len(parts), parts[0].begin, parts[-1].begin) == (12, NOW - timedelta(hours=1), NOW - timedelta(minutes=5))
    assert [(part.requests, part.errors) for part in parts] == [(1, 0), *[(0, 0)] * 10, (3, 1)]
    assert (parts[-1].latency_p50, parts[-1].latency_p95, parts[1].latency_p50, parts[-1].replicas) == (
        0.5,
        0.5,
        None,
        1,
    )


def test_hours_of_a_day_for_many_at_once(endpoint, fake_gateway, django_assert_num_queries):
    add_requests(fake_gateway, endpoint, 30, 90)
    read(endpoint, "1d")
    both = [endpoint, factories.ready_endpoint()]
    with django_assert_num_queries(1):
        found = reports.by_hour(both, NOW)
    assert found == {endpoint.pk: [0] * 22 + [1, 1]}
    assert reports.by_hour([endpoint], NOW + timedelta(minutes=16)) == {}


def test_a_refusal_says_what_to_grant_and_old_figures_end(endpoint, fake_gateway):
    add_requests(fake_gateway, endpoint, 2)
    assert read(endpoint).error == ""
    fake_gateway.fail("monitoring.traffic", NotAuthorised(LACKING, "PERMISSION_DENIED"), times=9)
    row = read(endpoint, now=NOW + timedelta(minutes=5))
    assert (row.error, sum(part.requests for part in reports.traffic_of(row, NOW + timedelta(minutes=5)))) == (
        LACKING,
        1,
    )
    assert reports.traffic_of(row, NOW + timedelta(minutes=16)) == []
    assert reports.traffic_of(None, NOW) == []


def test_the_log_of_an_endpoint(endpoint, fake_gateway):
    fake_gateway.logs.lines[endpoint.resource_name] = [f"line {number}\x00" for number in range(900)]
    lines = reports.lines_of(read(endpoint, "log"))
    assert (len(lines), lines[-1], reports.lines_of(None)) == (reports.LOG_LINES, "line 899", [])
    fake_gateway.fail("logs.of_endpoint", Unavailable("Later.", "UNAVAILABLE"))
    row = read(endpoint, "log", NOW + timedelta(minutes=2))
    assert (row.error, len(reports.lines_of(row))) == ("Later.", reports.LOG_LINES)


def test_what_others_ask_is_use(endpoint, fake_gateway):
    add_requests(fake_gateway, endpoint, 40, 12)
    read(endpoint)
    endpoint.refresh_from_db()
    assert endpoint.last_request_at == NOW - timedelta(minutes=10)
    later = factories.ready_endpoint(last_request_at=NOW - timedelta(minutes=1))
    add_requests(fake_gateway, later, 12)
    read(later)
    later.refresh_from_db()
    assert later.last_request_at == NOW - timedelta(minutes=1)


def test_what_others_ask_moves_the_end_of_an_idle_lease_forward_only(fake_gateway):
    soon = NOW + timedelta(minutes=5)
    idle = factories.ready_endpoint(lease_kind="IDLE", lease_hours=2, undeploy_at=soon)
    fixed = factories.ready_endpoint(lease_kind="FIXED", lease_hours=2, undeploy_at=soon)
    for one in (idle, fixed):
        add_requests(fake_gateway, one, 1)
        read(one)
        one.refresh_from_db()
    assert (idle.undeploy_at, fixed.undeploy_at) == (NOW + timedelta(hours=2), soon)


def test_endpoints_that_serve_are_measured_also_while_nobody_looks(fake_gateway):
    serving, gone = factories.ready_endpoint(), factories.endpoint(state="UNDEPLOYED")
    assert reports.ask_all(NOW) == [(serving.pk, "1h"), (serving.pk, "1d")]
    assert reports.ask_all(NOW) == []
    assert set(EndpointReport.objects.values_list("endpoint", flat=True)) == {serving.pk} - {gone.pk}


def test_of_too_many_endpoints_those_that_were_used_last_are_measured(fake_gateway):
    factories.ready_endpoint()
    used = [factories.ready_endpoint(last_request_at=NOW - timedelta(hours=hours)) for hours in (3, 1, 2)]
    assert [pk for pk, _kind in reports.ask_all(NOW, 2)] == [used[1].pk, used[1].pk, used[2].pk, used[2].pk]


def test_a_clock_that_was_a_year_ahead_is_not_waited_for(endpoint, fake_gateway):
    read(endpoint, "1d", NOW + timedelta(days=365))
    assert reports.ask(endpoint, "1d", NOW)
    reports.run(endpoint.pk, "1d", NOW)
    found = reports.find(endpoint, "1d")
    assert (found.read_at, found.told_at, found.is_awaited) == (NOW, NOW, False)
