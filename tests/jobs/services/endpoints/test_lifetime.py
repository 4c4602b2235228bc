from datetime import timedelta
from uuid import uuid4

import pytest
from django.utils import timezone

from jobs import errors, tasks
from jobs.services.chat import conversations
from jobs.services.endpoints import endpoints, lifetime
from jobs.services.endpoints.endpoints import DeploymentSpec
from tests.support import factories
from tests.support.row_driver import Driver

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)
NOW = factories.NOW


@pytest.fixture
def frozen(monkeypatch):
    """The clock stands still; a test moves it."""
    clock = {"now": NOW}
    monkeypatch.setattr(timezone, "now", lambda: clock["now"])
    return clock


def leased(kind="FIXED", **values):
    defaults = {"lease_kind": kind, "lease_hours": 2, "undeploy_at": NOW + 2 * HOUR, "next_check_at": NOW + 9 * HOUR}
    return factories.ready_endpoint(**defaults | values)


def fresh(endpoint):
    endpoint.refresh_from_db()
    return endpoint


def last_word(endpoint):
    return endpoint.events.last().message


def test_it_begins_when_the_endpoint_is_ready(owner, fake_gateway):
    fake_gateway.automatic = True
    driver, spec = Driver(), DeploymentSpec("Base", factories.BASE_MODEL, accepts_licence=True, lease_hours=3)
    endpoint = endpoints.deploy_model(owner, key=uuid4(), spec=spec)
    assert (endpoint.undeploy_at, endpoint.lease_kind) == (None, "FIXED")
    driver.until(endpoint, state="READY")
    assert abs(endpoint.undeploy_at - endpoint.started_at - 3 * HOUR) < timedelta(seconds=1)


def test_when_it_is_over_the_endpoint_is_undeployed(frozen, fake_gateway):
    endpoint = leased()
    assert (lifetime.due(NOW + HOUR), lifetime.end(endpoint.pk, NOW + HOUR)) == ([], False)
    over = NOW + 2 * HOUR
    assert (lifetime.due(over), lifetime.end(endpoint.pk, over)) == ([endpoint.pk], True)
    assert (fresh(endpoint).state, endpoint.wanted, endpoint.undeploy_at) == ("UNDEPLOYING", "UNDEPLOYED", None)
    assert last_word(endpoint) == "Undeployed because its time limit ended."


def test_the_sweep_ends_it(frozen):
    endpoint = leased()
    frozen["now"] = NOW + 3 * HOUR
    tasks.sweep()
    assert fresh(endpoint).state == "UNDEPLOYING"


def test_ended_twice_it_is_one_end(frozen):
    endpoint, over = leased(), NOW + 2 * HOUR
    assert [lifetime.end(endpoint.pk, over) for _sweep in range(2)] == [True, False]
    assert endpoint.events.count() == 1


@pytest.mark.parametrize("state", ["WAITING", "STREAMING"])
def test_never_while_an_answer_is_being_written(frozen, state):
    endpoint = leased()
    talk = factories.conversation(endpoint=endpoint)
    answer = factories.message(conversation=talk, role="assistant", state=state)
    assert lifetime.end(endpoint.pk, NOW + 2 * HOUR) is False
    type(answer).objects.filter(pk=answer.pk).update(state="COMPLETE")
    assert lifetime.end(endpoint.pk, NOW + 2 * HOUR) is True


def test_a_request_puts_an_idle_lease_off(frozen):
    endpoint = leased("IDLE")
    frozen["now"] = NOW + 1.5 * HOUR
    conversations.ask(factories.conversation(endpoint=endpoint), key=uuid4(), text="Ahoy")
    assert (fresh(endpoint).last_request_at, endpoint.undeploy_at) == (NOW + 1.5 * HOUR, NOW + 3.5 * HOUR)


def test_a_request_does_not_move_a_fixed_lease(frozen):
    endpoint = leased()
    frozen["now"] = NOW + HOUR
    conversations.ask(factories.conversation(endpoint=endpoint), key=uuid4(), text="Ahoy")
    assert (fresh(endpoint).last_request_at, endpoint.undeploy_at) == (NOW + HOUR, NOW + 2 * HOUR)


def test_an_idle_lease_says_why_it_ended(frozen):
    endpoint = leased("IDLE")
    lifetime.end(endpoint.pk, NOW + 2 * HOUR)
    assert last_word(endpoint) == "Undeployed by its time limit: no requests for 2 hours."


def test_a_question_after_the_end_is_refused(frozen):
    endpoint = leased()
    talk = factories.conversation(endpoint=endpoint)
    lifetime.end(endpoint.pk, NOW + 2 * HOUR)
    with pytest.raises(errors.NotAllowedNow):
        conversations.ask(talk, key=uuid4(), text="Ahoy")


def test_extended_once_however_often_it_is_clicked(frozen):
    endpoint = leased()
    seen = endpoint.undeploy_at
    assert [lifetime.extend(endpoint, seen=seen) for _click in range(2)] == [True, False]
    assert (fresh(endpoint).undeploy_at, last_word(endpoint)) == (
        NOW + 4 * HOUR,
        "You extended the time limit by 2 hours.",
    )


def test_extended_at_the_last_moment_it_stays(frozen):
    endpoint, over = leased(), NOW + 2 * HOUR
    assert lifetime.due(over) == [endpoint.pk]
    lifetime.extend(endpoint, seen=endpoint.undeploy_at)
    assert (lifetime.end(endpoint.pk, over), fresh(endpoint).state) == (False, "READY")


def test_nobody_extends_beyond_thirty_days(frozen):
    endpoint = leased(lease_hours=720, undeploy_at=NOW + 10 * HOUR)
    lifetime.extend(endpoint, seen=endpoint.undeploy_at)
    assert endpoint.undeploy_at == NOW + 720 * HOUR


def test_given_later_it_counts_from_then(frozen):
    endpoint = factories.ready_endpoint()
    lifetime.set_lease(endpoint, kind="IDLE", hours=1)
    assert (endpoint.undeploy_at, last_word(endpoint)) == (
        NOW + HOUR, "You set it to undeploy after 1 hour without requests.",
    )  # fmt: skip
    lifetime.set_lease(endpoint, kind="", hours=None)
    assert (endpoint.undeploy_at, last_word(endpoint)) == (None, "You removed the time limit.")


def test_given_while_it_is_deployed_it_waits_for_ready(frozen):
    endpoint = factories.endpoint()
    lifetime.set_lease(endpoint, kind="FIXED", hours=5)
    assert (endpoint.lease_hours, endpoint.undeploy_at) == (5, None)


@pytest.mark.parametrize(("kind", "hours"), [("FIXED", None), ("", 3), ("FIXED", 0), ("IDLE", 721), ("OTHER", 1)])
def test_a_lease_that_makes_no_sense_is_refused(kind, hours):
    with pytest.raises(errors.NotAllowedNow):
        lifetime.set_lease(factories.ready_endpoint(), kind=kind, hours=hours)


def test_only_what_serves_has_a_lease(frozen):
    over = factories.endpoint(state="UNDEPLOYED")
    with pytest.raises(errors.NotAllowedNow):
        lifetime.set_lease(over, kind="FIXED", hours=1)
    with pytest.raises(errors.NotAllowedNow):
        lifetime.extend(over, seen=NOW)


def test_undeployed_by_hand_it_has_no_lease_any_more(frozen):
    endpoint = leased()
    endpoints.request_undeploy(endpoint)
    assert (endpoint.undeploy_at, lifetime.end(endpoint.pk, NOW + 9 * HOUR)) == (None, False)
