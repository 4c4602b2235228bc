"""What another site makes a browser send, with the person's cookies: every address, every way, and nothing happens."""

import pytest
from django.apps import apps
from django.test import Client
from django.urls import reverse

from tests.security import test_access
from tests.security.streaming import serving
from tests.support import factories
from tests.support.answers import status_of
from tests.support.routes import patterns
from tests.support.share import one_of
from tests.support.tables import read_tables

pytestmark = [pytest.mark.django_db, pytest.mark.threat("T4")]
HOST = "http://testserver"
# Of addresses that name no thing: what stands in them.
REST = {
    "settings-audit-export": {"form": "csv"},
    "dashboard-section": {"section": "jobs"},
    "model-detail": {"publisher": "google", "slug": "gemma3"},
    "model-deploy": {"publisher": "google", "slug": "gemma3"},
    "model-remove": {"publisher": "google", "slug": "gemma3"},
    "model-try": {"publisher": "google", "slug": "gemma3"},
    "settings-email-confirm": {"token": "made-up"},
    "confirm": {"pending_id": "0b1f0e6c-8f3f-4b8e-9c3d-2f6f6f9d9a11"},
    "settings-picture": {"name": "x.png"},
    "dataset-image": {"file": "x.png"},
    "readyz-of": {"kind": "worker"},
    "settings-document": {"slug": "operations"},
    "sign-in-link": {"token": "made-up"},
    "shared": {"token": "made-up"},
    "shared-picture": {"token": "made-up", "picture": "0b1f0e6c-8f3f-4b8e-9c3d-2f6f6f9d9a11"},
}
# What GET changes all the same, and why that is no harm.
CHANGED_BY_GET = {
    # Whoever follows the link, also from a mail, has read it.
    "notification": {"Notification"},
    # One row without content, made when it is first needed.
    "tuning-job-details": {"Installation"},
    # What lies in the output folder is asked for; a worker looks.
    "tuning-take": {"OutputListing"},
    # What Google Cloud lacks is asked for; a worker looks.
    "settings-preflight": {"Preflight"},
    # The lines of its log and its figures are asked for, once a minute; a worker looks.
    **dict.fromkeys(("endpoint-log", "endpoint-detail", "endpoint-metrics", "endpoint-status"), {"EndpointReport"}),
}


def names():
    return sorted(pattern.name for pattern in patterns())


def address(name):
    if name in test_access.ROUTES:
        return test_access.address(name, test_access.THINGS[test_access.ROUTES[name].thing]().pk)
    return reverse(name, kwargs=REST.get(name))


def everything() -> dict[str, list[str]]:
    """Each row of each table, but of the audit log: it has what was refused."""
    return read_tables(model for model in apps.get_models() if model.__name__ != "AuditEntry")


def changed(before):
    return {table for table, rows in everything().items() if rows != before[table]}


@pytest.fixture
def victim(owner, fake_gateway):
    """Signed in, in a browser whose requests are checked, with the token of its forms."""
    factories.publisher_model()
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(owner)
    browser.get("/settings/keys/")
    return browser


def forgeries(browser):
    token = browser.cookies["csrftoken"].value
    right = {"HTTP_X_CSRFTOKEN": token}
    return {
        "without a token": {},
        "with a made-up token": {"HTTP_X_CSRFTOKEN": "x" * 32},
        "from another origin": {**right, "HTTP_ORIGIN": "http://evil.example"},
        "from an origin that is none": {**right, "HTTP_ORIGIN": "null"},
        "from another port": {**right, "HTTP_ORIGIN": f"{HOST}:8001"},
        "from another site, it says": {**right, "HTTP_ORIGIN": HOST, "HTTP_SEC_FETCH_SITE": "cross-site"},
        "from a neighbour, it says": {**right, "HTTP_ORIGIN": HOST, "HTTP_SEC_FETCH_SITE": "same-site"},
    }


@pytest.mark.parametrize("name", one_of(6, names()))
def test_nothing_that_another_site_sends_is_done(victim, name):
    url = address(name)
    before = everything()
    statuses = {what: victim.post(url, **headers).status_code for what, headers in forgeries(victim).items()}
    statuses["with another method"] = victim.delete(url).status_code
    assert {what: status for what, status in statuses.items() if status not in {403, 405}} == {}
    assert everything() == before


@pytest.mark.parametrize("name", one_of(12, names()))
def test_looking_changes_nothing(victim, name):
    """As a link, an image or a preview on another site asks."""
    url = address(name)
    before = everything()
    asked = {"HTTP_SEC_FETCH_SITE": "cross-site", "HTTP_SEC_FETCH_MODE": "navigate"}
    assert status_of(victim.head(url, **asked)) != 500
    assert changed(before) <= CHANGED_BY_GET.get(name, set())
    assert status_of(victim.get(url, **asked)) != 500
    assert changed(before) == CHANGED_BY_GET.get(name, set())


def test_the_persons_own_form_is_done(victim):
    """So that the others are refused for the reason that is told."""
    token = victim.cookies["csrftoken"].value
    own = {"HTTP_ORIGIN": HOST, "HTTP_SEC_FETCH_SITE": "same-origin", "HTTP_X_CSRFTOKEN": token}
    assert victim.post("/settings/keys/", {"single_keys": "on"}, **own).status_code == 303


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_an_event_stream_is_only_looked_at(limits, redis_url, method):
    with serving(redis_url) as server:
        stream = server.connect("/streams/live?ticket=x", "x", method=method)
        assert (stream.is_over.wait(5), stream.status) == (True, 405)
