import re
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from jobs.models import Endpoint, FoundKind, FoundResource, InventoryLook
from tests.support import factories
from tests.support.markup import tight

pytestmark = pytest.mark.django_db
HTMX = {"HTTP_HX_REQUEST": "true"}
NOW = factories.NOW


@pytest.fixture
def visitor(client, owner):
    client.force_login(owner)
    return client


def words(response):
    return " ".join(response.content.decode().split())


def names(response):
    return re.findall(r'<th scope="row"><a href="/elsewhere/[^"]+">([^<]+)</a>', tight(words(response)))


def test_an_empty_list_says_when_the_console_looks(visitor):
    text = words(visitor.get("/elsewhere/"))
    assert ("Nothing found" in text, "It looks every ten minutes" in text) == (True, True)


def test_each_kind_has_its_tab(visitor):
    for kind in FoundKind:
        factories.found_resource(kind=kind, display_name=f"A {kind}", state="RUNNING" if "job" in kind else "")
    tabs = ("endpoints", "models", "tuning-jobs", "custom-jobs", "nonsense")
    found = {tab: names(visitor.get(f"/elsewhere/?kind={tab}")) for tab in tabs}
    assert found == {
        "endpoints": ["A endpoint"], "models": ["A model"], "tuning-jobs": ["A tuning_job"],
        "custom-jobs": ["A custom_job"], "nonsense": ["A endpoint"],
    }  # fmt: skip


def test_a_row_says_where_it_works_and_what_it_costs(visitor):
    factories.found_resource()
    text = words(visitor.get("/elsewhere/"))
    for shown in ("Made elsewhere", "found-1", "Serving", "us-central1", "1 × g2-standard-12, 1 × NVIDIA L4", "$1.00"):
        assert shown in text


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ({"usd_per_hour": None}, "Unknown"),
        ({"usd_per_hour": 0}, "No cost"),
        ({"is_running": False, "facts": {}}, "Empty"),
        ({"kind": "custom_job", "state": "SOMETHING_NEW"}, "Something new"),
        ({"kind": "model", "is_running": False}, "Registered"),
    ],
)
def test_what_is_not_known_is_said(visitor, values, shown):
    found = factories.found_resource(**values)
    assert shown in words(visitor.get(f"/elsewhere/{found.pk}/"))


@pytest.mark.parametrize(("server", "machine"), [("", "Chosen by Vertex AI"), ("http://127.0.0.1:1", "This computer")])
def test_a_machine_that_nobody_chose_is_this_computer_on_a_local_run(visitor, settings, server, machine):
    settings.VERTEX_API_ENDPOINT = server
    found = factories.found_resource()
    found.facts["machines"][0]["machine_type"] = ""
    found.save()
    assert f"1 × {machine}</div>" in words(visitor.get("/elsewhere/"))


def a_thousand():
    one = factories.found_resource(created_at=NOW + timedelta(minutes=1))
    common = {
        "kind": "endpoint", "location": "us-central1", "facts": one.facts, "is_running": True, "usd_per_hour": 1,
        "seen_at": NOW,
    }  # fmt: skip
    rows = [
        FoundResource(
            key=f"e-{number}", resource_name=f"p/endpoints/{number}", display_name=f"Endpoint {number:04}",
            created_at=NOW - timedelta(minutes=number), **common,
        )
        for number in range(1000)
    ]  # fmt: skip
    FoundResource.objects.bulk_create(rows)


def next_page(page):
    return re.search(r'href="([^"]+)" rel="next"', page.content.decode())


def test_a_page_of_a_thousand_endpoints_has_fifty_at_the_price_of_one(visitor):
    factories.found_resource(key="first", resource_name="p/endpoints/first")
    with CaptureQueriesContext(connection) as few:
        visitor.get("/elsewhere/")
    FoundResource.objects.all().delete()
    a_thousand()
    with CaptureQueriesContext(connection) as many:
        page = visitor.get("/elsewhere/")
    assert (len(many), len(names(page)), bool(next_page(page))) == (len(few), 50, True)
    assert names(visitor.get("/elsewhere/?q=endpoint+0999")) == ["Endpoint 0999"]
    assert visitor.get("/dashboard/idle/", **HTMX).status_code == 200


@pytest.mark.slow
def test_all_of_a_thousand_endpoints_are_on_one_page_or_another(visitor):
    a_thousand()
    page = visitor.get("/elsewhere/?sort=name")
    seen = names(page)
    while url := next_page(page):
        page = visitor.get(f"/elsewhere/{url[1].replace('&amp;', '&')}")
        seen += names(page)
    assert seen == [*(f"Endpoint {number:04}" for number in range(1000)), "Made elsewhere"]


def test_regions_that_cannot_be_read_are_shown_with_what_was_read_before(visitor):
    InventoryLook.objects.create(
        kind="endpoint", location="us-west1", looked_at=NOW, succeeded_at=NOW, problem="Not allowed."
    )
    InventoryLook.objects.create(kind="model", location="us-east5", looked_at=NOW, is_whole=False)
    text = words(visitor.get("/elsewhere/"))
    assert text.index("us-west1") < text.index("us-east5")
    for shown in ("Endpoint: Not allowed.", "Showing what was read", "Registered model: there are more than"):
        assert shown in text


def test_an_endpoint_is_attached_and_leads_to_its_page(visitor, owner, fake_gateway):
    found = factories.found_resource()
    page = words(visitor.get(f"/elsewhere/{found.pk}/"))
    assert ("Not made here" in page, "Attach the endpoint to chat with it" in page) == (True, True)
    answer = visitor.post(f"/elsewhere/{found.pk}/attach/")
    endpoint = Endpoint.objects.get(owner=owner)
    assert (answer.status_code, answer["Location"]) == (303, f"/endpoints/{endpoint.pk}/")
    page = words(visitor.get(f"/endpoints/{endpoint.pk}/"))
    assert ("Not made here" in page, "Remove from list" in page, "Open in chat" in page) == (True, True, True)
    assert f"/endpoints/{endpoint.pk}/" in words(visitor.get("/elsewhere/"))
    assert "Not made here" in words(visitor.get(f"/endpoints/{endpoint.pk}/row/", **HTMX))


def test_it_is_removed_from_the_list_again(visitor):
    endpoint = factories.ready_endpoint(made_here=False)
    assert "Remove My endpoint from your list?" in words(visitor.get(f"/endpoints/{endpoint.pk}/detach/"))
    visitor.post(f"/endpoints/{endpoint.pk}/detach/")
    assert Endpoint.objects.get(pk=endpoint.pk).state == "DELETED"
    assert visitor.get(f"/endpoints/{endpoint.pk}/").status_code == 404


def test_an_endpoint_that_was_made_here_has_no_such_button(visitor):
    endpoint = factories.ready_endpoint()
    page = words(visitor.get(f"/endpoints/{endpoint.pk}/"))
    assert ("Not made here" in page.partition("<main")[2], "Remove from list" in page) == (False, False)
    assert visitor.get(f"/endpoints/{endpoint.pk}/detach/").status_code == 409


def test_an_empty_endpoint_says_why_it_is_not_attached(visitor):
    found = factories.found_resource(facts={}, is_running=False)
    assert "No model is deployed on this endpoint" in words(visitor.get(f"/elsewhere/{found.pk}/"))
    assert visitor.post(f"/elsewhere/{found.pk}/attach/").status_code == 409


def test_weights_of_the_registry_lead_to_their_deployment(visitor):
    found = factories.found_resource(kind="model", facts={"folder": "gs://bucket/my model", "image": "vllm"})
    page = words(visitor.get(f"/elsewhere/{found.pk}/"))
    assert "?action=deploy-weights&amp;artifact_uri=gs%3A//bucket/my%20model" in page


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        ("tuning_job", "vertex-ai/generative/language/locations/us-central1/tuning/tuningJob/found-1"),
        ("custom_job", "agent-platform/locations/us-central1/training/found-1"),
    ],
)
def test_a_job_says_that_it_is_only_shown_and_where_it_can_be_changed(visitor, settings, kind, path):
    settings.VERTEX_API_ENDPOINT, settings.VERTEX_PROJECT = "", "garden:local"
    found = factories.found_resource(kind=kind, state="RUNNING")
    url = f"/elsewhere/{found.pk}/"
    text, link = words(visitor.get(url)), f"https://console.cloud.google.com/{path}?project=garden%3Alocal"
    assert ("This page only shows the job" in text, f'href="{link}"' in text) == (True, True)
    settings.VERTEX_API_ENDPOINT = "http://127.0.0.1:1"
    text = words(visitor.get(url))
    assert ("delete it with the program that made it." in text, "console.cloud.google.com" in text) == (True, False)


@pytest.mark.parametrize("kind", ["endpoint", "model"])
def test_nothing_else_says_that_it_is_only_shown(visitor, kind):
    found = factories.found_resource(kind=kind)
    assert "This page only shows the job" not in words(visitor.get(f"/elsewhere/{found.pk}/"))


def test_who_is_no_administrator_finds_no_such_page(client, db):
    found = factories.found_resource()
    client.force_login(factories.team_mate())
    paths = ("/elsewhere/", f"/elsewhere/{found.pk}/", "/elsewhere/look/", f"/elsewhere/{found.pk}/attach/")
    statuses = [client.get(path).status_code for path in paths[:2]] + [
        client.post(path).status_code for path in paths[2:]
    ]
    assert (statuses, "/elsewhere/" in words(client.get("/endpoints/"))) == ([404] * 4, False)


def test_the_worker_is_asked_to_look(visitor, sent):
    assert visitor.post("/elsewhere/look/", **HTMX).status_code == 204
    assert [name for name, _values in sent()] == ["inventory.sweep"]
