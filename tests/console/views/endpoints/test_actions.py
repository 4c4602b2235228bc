import pytest
from django.utils import timezone

from jobs.models import Endpoint
from tests.support import factories

pytestmark = pytest.mark.django_db
HTMX = {"HTTP_HX_REQUEST": "true"}


@pytest.fixture
def visitor(client, owner):
    client.force_login(owner)
    return client


def words(response):
    return " ".join(response.content.decode().split())


def url(endpoint, rest):
    return f"/endpoints/{endpoint.pk}/{rest}/"


def fresh(endpoint):
    endpoint.refresh_from_db()
    return endpoint


def busy(**values):
    """An endpoint that was asked something today."""
    talk = factories.conversation(endpoint=factories.ready_endpoint())
    factories.message(conversation=talk, role="assistant", created_at=timezone.now(), **values)
    return talk.endpoint


@pytest.mark.parametrize("action", ["undeploy", "delete", "replicas", "lease"])
def test_it_asks_in_a_dialog_or_on_a_page(visitor, action):
    path = url(factories.ready_endpoint(), action)
    dialog, page = words(visitor.get(path, **HTMX)), words(visitor.get(path))
    assert (dialog.startswith('<dialog class="confirm"'), "<html" in dialog, "<html" in page) == (True, False, True)
    assert f'action="{path}"' in page


@pytest.mark.parametrize("action", ["undeploy", "delete"])
def test_what_is_lost_is_said_before(visitor, action):
    text = words(visitor.get(url(factories.ready_endpoint(), action)))
    assert "The model files aren&#x27;t deleted." in text
    assert "In use" not in text


def test_who_uses_it_is_said_before(visitor):
    endpoint = busy(state="STREAMING")
    job = factories.job(state="SUCCEEDED", display_name="Bot")
    endpoint.deployed_models.update(job=job)
    text = words(visitor.get(url(endpoint, "undeploy")))
    for use in (
        "1 answer is in progress and will be cut off.",
        "1 request in the last 24 hours.",
        "1 chat uses it.",
        "No other endpoint serves the tuned model Bot.",
    ):
        assert use in text


@pytest.mark.parametrize(("action", "state"), [("undeploy", "UNDEPLOYING"), ("delete", "DELETING")])
def test_the_name_is_typed_when_it_was_used_today(visitor, action, state):
    endpoint = busy()
    path = url(endpoint, action)
    empty, wrong = visitor.post(path, **HTMX), visitor.post(path, {"confirm": "Another"}, **HTMX)
    assert (empty.status_code, wrong.status_code, fresh(endpoint).state) == (422, 422, "READY")
    assert ("Type the name of the endpoint." in words(empty), "The name doesn&#x27;t match." in words(wrong)) == (
        True,
        True,
    )
    assert visitor.post(path, {"confirm": " My endpoint "}, **HTMX).status_code == 204
    assert fresh(endpoint).state == state


def test_used_long_ago_it_takes_no_name(visitor):
    endpoint = busy()
    endpoint.conversations.get().messages.update(created_at=factories.NOW.replace(year=2025))
    assert visitor.post(url(endpoint, "undeploy")).status_code == 303


def test_undeployed_twice_is_undeployed(visitor):
    endpoint = factories.ready_endpoint()
    codes = [visitor.post(url(endpoint, "undeploy"), **HTMX).status_code for _click in range(2)]
    assert (codes, fresh(endpoint).state) == ([204, 204], "UNDEPLOYING")


@pytest.mark.parametrize(("action", "state"), [("undeploy", "UNDEPLOYED"), ("replicas", "FAILED"), ("lease", "FAILED")])
def test_what_cannot_be_is_not_asked(visitor, action, state):
    assert visitor.get(url(factories.endpoint(state=state), action), **HTMX).status_code == 409


def test_replicas_are_changed(visitor):
    endpoint = factories.ready_endpoint()
    response = visitor.post(url(endpoint, "replicas"), {"minimum": 2, "maximum": 3})
    assert (response.status_code, fresh(endpoint).model.min_replicas, endpoint.model.max_replicas) == (303, 2, 3)
    text = words(visitor.get(f"/endpoints/{endpoint.pk}/"))
    assert "Changing the number of replicas to 2–3." in text


@pytest.mark.parametrize(
    ("values", "error"),
    [
        ({"minimum": "3", "maximum": "2"}, "The maximum can&#x27;t be smaller than the minimum."),
        ({"minimum": "0", "maximum": "2"}, "Enter a whole number from 1 to 100."),
        ({"minimum": "1", "maximum": "101"}, "Enter a whole number from 1 to 100."),
        ({"minimum": "", "maximum": "x"}, "Enter a whole number from 1 to 100."),
    ],
)
def test_replicas_that_make_no_sense(visitor, values, error):
    endpoint = factories.ready_endpoint()
    response = visitor.post(url(endpoint, "replicas"), values, **HTMX)
    assert (response.status_code, error in words(response), fresh(endpoint).model.replicas_asked_at) == (
        422,
        True,
        None,
    )


@pytest.mark.parametrize(
    ("values", "kept"),
    [
        ({"kind": "IDLE", "hours": "5"}, ("IDLE", 5)),
        ({"kind": "FIXED", "hours": "1"}, ("FIXED", 1)),
        ({"kind": "", "hours": "7"}, ("", None)),
    ],
)
def test_a_lease_is_given_and_taken(visitor, values, kept):
    endpoint = factories.ready_endpoint(lease_kind="FIXED", lease_hours=9)
    assert visitor.post(url(endpoint, "lease"), values).status_code == 303
    assert (fresh(endpoint).lease_kind, endpoint.lease_hours) == kept


@pytest.mark.parametrize("values", [{"kind": "IDLE"}, {"kind": "IDLE", "hours": "721"}, {"kind": "x", "hours": "1"}])
def test_a_lease_that_makes_no_sense(visitor, values):
    endpoint = factories.ready_endpoint()
    assert (visitor.post(url(endpoint, "lease"), values, **HTMX).status_code, fresh(endpoint).lease_kind) == (422, "")


@pytest.mark.parametrize("seen", ["", "yesterday", "2026-11-24T12:00:00"])
def test_an_odd_extension_extends_nothing(visitor, seen):
    endpoint = factories.ready_endpoint(lease_kind="FIXED", lease_hours=1, undeploy_at=factories.NOW)
    response = visitor.post(url(endpoint, "extend"), {"seen": seen}, **HTMX)
    assert (response.status_code, fresh(endpoint).undeploy_at) in [(409, factories.NOW), (204, factories.NOW)]


@pytest.mark.parametrize("state", ["FAILED", "UNDEPLOYED"])
def test_what_is_over_is_deployed_again(visitor, state):
    endpoint = factories.endpoint(state=state)
    first, second = (visitor.post(url(endpoint, "again")) for _click in range(2))
    made = Endpoint.objects.exclude(pk=endpoint.pk).get()
    assert (first.url, second.url, made.state) == (f"/endpoints/{made.pk}/",) * 2 + ("DEPLOYING",)


@pytest.mark.parametrize("action", ["undeploy", "delete", "replicas", "lease", "extend", "again"])
def test_other_peoples_endpoints_are_not_there(visitor, stranger, action):
    theirs = factories.ready_endpoint(owner=stranger)
    assert visitor.post(url(theirs, action)).status_code == 404
