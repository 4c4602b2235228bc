"""Choosing a folder of Cloud Storage, with and without scripts."""

import re
from datetime import timedelta
from urllib.parse import urlencode

import pytest
from django.utils import timezone

from jobs.models import StorageListing
from jobs.services.storage import browsing
from tests.support import factories
from tests.support.markup import tight

pytestmark = pytest.mark.django_db
HTMX = {"HTTP_HX_REQUEST": "true"}


@pytest.fixture
def visitor(client, owner):
    client.force_login(owner)
    return client


@pytest.fixture
def draft():
    done = {
        "name": {"display_name": "Ahoy", "sent": True},
        "base-model": {"base_model": factories.BASE_MODEL, "sent": 1},
    }
    return factories.draft(data=done)


def words(response):
    return " ".join(response.content.decode().split())


def address(view="browse", **query):
    return f"/storage/{view}/?{urlencode({'into': 'weights', **query})}"


def looked(**values):
    """A page as the worker left it."""
    defaults = {"owner": factories.owner(), "asked_at": timezone.now(), "fetched_at": timezone.now()}
    return StorageListing.objects.create(**defaults | values)


def test_the_first_look_waits_for_the_worker(visitor):
    text = words(visitor.get(address()))
    page = StorageListing.objects.get()
    assert "Loading the list…" in text
    assert f'hx-trigger="storage-{page.pk} from:body, every 1s"' in text
    assert (page.uri, page.page_token) == ("", "")


def test_a_worker_that_does_not_answer_is_said(visitor):
    looked(fetched_at=None, asked_at=timezone.now() - browsing.PATIENCE / 2)
    assert "every 1s" in words(visitor.get(address(poll=1)))
    StorageListing.objects.update(asked_at=timezone.now() - timedelta(days=1))
    text = words(visitor.get(address(poll=1)))
    assert ("The worker has not responded." in text, "every 1s" in text) == (True, False)
    assert "every 1s" in words(visitor.get(address()))


def test_what_was_found_is_links_and_files(visitor):
    files = [{"name": "notes.txt", "size": 2048, "updated": timezone.now().isoformat()}]
    looked(uri="gs://bucket/a", folders=["b", "bad#name"], objects_found=files, next_token="t2")
    text = words(visitor.get(address(uri="gs://bucket/a/")))
    for shown in ("into=weights&amp;uri=gs%3A%2F%2Fbucket%2Fa%2Fb", "bad#name/", "notes.txt", "2.0", "page=t2"):
        assert shown in text
    assert "bad%23name" not in text
    assert re.findall(r'<li><a href="[^"]*">([^<]+)</a>', tight(text))[-2:] == ["Buckets", "bucket"]
    assert 'hx-trigger="storage-' not in text


def test_nothing_found_says_what_to_do(visitor):
    looked()
    assert "The console can't see any buckets in this project" in words(visitor.get(address()))
    looked(uri="gs://bucket/empty")
    assert "This folder is empty." in words(visitor.get(address(uri="gs://bucket/empty")))


def test_an_error_is_shown_and_can_be_tried_again(visitor):
    looked(error="There is no bucket nowhere. Choose or enter another one.", uri="gs://nowhere")
    text = words(visitor.get(address(uri="gs://nowhere")))
    assert ("There is no bucket nowhere." in text, "again=1" in text) == (True, True)


def test_a_path_typed_wrong_begins_with_the_buckets(visitor):
    text = words(visitor.get(address(uri="s3://bucket")))
    assert ("starts with gs://" in text, "Buckets" in text) == (True, True)


def test_another_persons_pages_are_not_seen(visitor, stranger):
    looked(owner=stranger, folders=["secret"])
    assert "secret" not in words(visitor.get(address()))


@pytest.mark.parametrize("into", ["", "password", "output"])
def test_only_fields_that_take_a_folder(visitor, into):
    assert visitor.get(address(into=into)).status_code == 404


def test_a_draft_is_its_owners(visitor, stranger):
    path = address(into="output", draft=factories.draft(owner=stranger).pk)
    assert visitor.get(path).status_code == 404


@pytest.mark.parametrize("rows", [1, 3])
def test_queries_do_not_grow(visitor, rows, django_assert_num_queries):
    looked(folders=[f"bucket-{number}" for number in range(rows)])
    with django_assert_num_queries(4):
        visitor.get(address())


def test_in_a_dialog_it_begins_where_the_field_is(visitor, draft):
    query = {"into": "output", "draft": draft.pk, "panel": "open", "output_uri": "gs://garden-local/tuning/ahoy"}
    text = words(visitor.get(address(**query), **HTMX))
    assert text.startswith('<dialog class="confirm" id="browse"')
    assert StorageListing.objects.get().uri == "gs://garden-local/tuning"
    assert 'hx-get="/storage/choose/"' in text


def test_a_poll_does_not_take_the_focus(visitor):
    looked()
    queries = ({"panel": 1}, {"panel": 1, "poll": 1})
    assert ["autofocus" in words(visitor.get(address(**query), **HTMX)) for query in queries] == [True, False]


def test_without_scripts_the_choice_goes_back_into_the_form(visitor, draft):
    response = visitor.get(address("choose", into="output", draft=draft.pk, uri="gs://garden-local/a"))
    assert (response.status_code, response.url) == (
        303, f"/tuning/drafts/{draft.pk}/output/?output_uri=gs%3A%2F%2Fgarden-local%2Fa",
    )  # fmt: skip
    response = visitor.get(address("choose", uri="gs://garden-local/a"))
    assert response.url == "/model-garden/?action=deploy-weights&artifact_uri=gs%3A%2F%2Fgarden-local%2Fa"
    factories.publisher_model()
    assert 'value="gs://garden-local/a"' in words(visitor.get(response.url))
    response = visitor.get(address("choose", into="defaults", uri="gs://garden-local/a"))
    assert 'value="gs://garden-local/a"' in words(visitor.get(response.url))


def test_the_wizard_takes_it(visitor, draft):
    factories.publisher_model()
    page = visitor.get(f"/tuning/drafts/{draft.pk}/output/?output_uri=gs%3A%2F%2Fgarden-local%2Fa")
    assert 'value="gs://garden-local/a"' in words(page)


def test_with_scripts_only_the_field_is_drawn_again(visitor, draft):
    path = address("choose", into="output", draft=draft.pk, uri="gs://garden-local/a", panel="1")
    text = words(visitor.get(path, **HTMX))
    assert text.startswith('<hx-partial hx-target="#browse" hx-swap="delete">')
    assert '<hx-partial hx-target="#id_output_uri" hx-swap="outerHTML"><input' in text
    assert ('value="gs://garden-local/a"' in text, "autofocus" in text) == (True, True)


@pytest.mark.parametrize(
    ("uri", "name", "chosen"),
    [
        ("gs://garden-local/a", "new", "gs://garden-local/a/new"),
        ("gs://garden-local/a/", " /deep/er/ ", "gs://garden-local/a/deep/er"),
        ("", "garden-local", "gs://garden-local"),
    ],
)
def test_a_new_folder_is_one_below(visitor, uri, name, chosen):
    response = visitor.get(address("choose", into="defaults", uri=uri, name=name))
    assert response.url == f"/settings/defaults/?{urlencode({'output_prefix': chosen})}"


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("", "Enter a name for the new folder."),
        ("a#b", "can&#x27;t contain any of"),
        ("x" * 201, "at most 200 characters"),
    ],
)
def test_a_name_that_no_folder_has(visitor, name, problem):
    looked(uri="gs://garden-local/a")
    query = {"uri": "gs://garden-local/a", "name": name}
    page = visitor.get(address("choose", **query))
    dialog = visitor.get(address("choose", panel="1", **query), **HTMX)
    for response in (page, dialog):
        assert (response.status_code, problem in words(response), f'value="{name}"' in words(response)) == (
            422,
            True,
            True,
        )
    assert words(dialog).startswith('<div class="stack browser"')
