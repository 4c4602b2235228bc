from datetime import timedelta

import pytest
from django.utils import timezone

from jobs.models import StorageListing
from jobs.services.storage import browsing
from jobs.vertex.errors import NotAuthorised
from tests.support import factories

pytestmark = pytest.mark.django_db
NOW = timezone.now()
SECOND = timedelta(seconds=1)


@pytest.fixture
def look(owner, fake_gateway):
    """What is known of a page after the worker looked."""

    def at(uri="", token="", now=NOW):
        page, _is_asked = browsing.ask(owner, uri, token, now)
        browsing.run(page.pk, now)
        page.refresh_from_db()
        return page

    return at


def test_the_buckets_of_the_project(look, fake_gateway):
    fake_gateway.storage.buckets.add("another")
    page = look()
    assert (page.folders, page.objects_found, page.next_token, page.error) == (["another", "garden-local"], [], "", "")


def test_folders_and_files_right_below(look, fake_gateway):
    for name in ("a/b/c", "a/d", "top.txt"):
        fake_gateway.storage.objects[f"gs://garden-local/{name}"] = b"1234"
    assert look("gs://garden-local").folders == ["a"]
    page = look("gs://garden-local/a")
    assert (page.folders, page.objects_found) == (["b"], [{"name": "d", "size": 4, "updated": None, "version": ""}])


def test_pages_follow_each_other(look, fake_gateway):
    names = [f"{number:03}" for number in range(2 * browsing.PAGE + 1)]
    for name in names:
        fake_gateway.storage.objects[f"gs://garden-local/{name}/x"] = b""
    first = look("gs://garden-local")
    second = look("gs://garden-local", first.next_token)
    third = look("gs://garden-local", second.next_token)
    assert [page.folders for page in (first, second, third)] == [names[:100], names[100:200], names[200:]]
    assert third.next_token == ""


def test_an_error_is_a_sentence(look, fake_gateway):
    assert "nowhere-at-all" in look("gs://nowhere-at-all").error
    fake_gateway.fail("storage.list_buckets", NotAuthorised("You may not.", "PERMISSION_DENIED"))
    assert look().error == "You may not."


def test_it_is_asked_once_until_it_is_stale(owner, look):
    assert browsing.ask(owner, "", "", NOW)[1]
    assert not browsing.ask(owner, "", "", NOW + SECOND)[1]
    assert not browsing.ask(owner, "", "", NOW + 21 * SECOND, polls=True)[1]
    assert browsing.ask(owner, "", "", NOW + 21 * SECOND)[1]
    page = look(now=NOW + 22 * SECOND)
    assert not browsing.ask(owner, "", "", NOW + 30 * SECOND)[1]
    assert browsing.ask(owner, "", "", NOW + 30 * SECOND, again=True) == (page, True)


def test_two_people_have_their_own(look):
    look()
    assert browsing.ask(factories.team_mate(is_superuser=True), "", "", NOW)[1]


def test_an_answer_that_nobody_waits_for_is_not_looked_up(look, fake_gateway):
    page = look()
    browsing.run(page.pk, NOW)
    StorageListing.objects.all().delete()
    browsing.run(page.pk, NOW)
    assert fake_gateway.calls == ["storage.list_buckets"]


def test_old_pages_are_forgotten(look):
    look()
    browsing.prune(NOW + timedelta(minutes=59))
    assert StorageListing.objects.count() == 1
    browsing.prune(NOW + timedelta(minutes=61))
    assert StorageListing.objects.count() == 0
