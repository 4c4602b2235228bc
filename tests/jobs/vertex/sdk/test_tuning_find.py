"""`tuning.find` decides whether a paid job is created, so it never answers from a part of the list."""

import json
from dataclasses import dataclass, field
from typing import Any

import pytest

from jobs.vertex.errors import NotAuthorised, Refused, Unavailable
from jobs.vertex.sdk import Gateway
from tests.support.misbehaving_server import answer, bad_server, error

pytestmark = pytest.mark.fault("F15", "F16")
REGION, GLOBAL = "us-central1", "global"


def job(number, *, location=REGION, minute=0, key="k"):
    return {
        "name": f"projects/1/locations/{location}/tuningJobs/{number}",
        "createTime": f"2026-11-24T12:{minute:02}:00Z",
        "labels": {"app-key": key},
    }


@pytest.fixture
def pages(settings):
    """Serves pages by location and page token; a page is a list of jobs with the next token, or a behaviour."""
    replies: dict[tuple[str, str], Any] = {}
    with bad_server(lambda connection: behave(connection)) as server:

        def behave(connection):
            path, _, query = server.requests[-1].path.partition("?")
            token = dict(part.partition("=")[::2] for part in query.split("&")).get("pageToken", "")
            reply = replies.get((path.split("/")[5], token), ([], ""))
            if callable(reply):
                reply(connection)
            else:
                answer(200, {"tuningJobs": reply[0], "nextPageToken": reply[1]})(connection)

        settings.VERTEX_API_ENDPOINT = server.address
        yield replies


def found():
    return [
        entry.name.split("/")[3] + "/" + entry.name.split("/")[-1] for entry in Gateway().tuning.find("app-key", "k")
    ]


def test_every_page_of_both_places_is_read(pages):
    pages[REGION, ""] = ([job(1, minute=3, key="other")], "a")
    pages[REGION, "a"] = ([], "b")
    pages[REGION, "b"] = ([job(2, minute=2)], "")
    pages[GLOBAL, ""] = ([job(3, location=GLOBAL, minute=1)], "")
    assert found() == ["global/3", "us-central1/2"]


def test_a_job_that_both_places_list_counts_once(pages):
    pages[REGION, ""] = ([job(1)], "")
    pages[GLOBAL, ""] = ([job(1, location=GLOBAL)], "")
    assert found() == ["us-central1/1"]


def test_a_failing_second_page_fails_the_look(pages):
    pages[REGION, ""] = ([job(1)], "a")
    pages[REGION, "a"] = error(503, "UNAVAILABLE")
    with pytest.raises(Unavailable):
        found()


def test_a_failing_global_list_fails_the_look(pages):
    pages[REGION, ""] = ([job(1)], "")
    pages[GLOBAL, ""] = error(500, "INTERNAL")
    with pytest.raises(Unavailable):
        found()


def test_missing_rights_on_global_fail_the_look(pages):
    pages[GLOBAL, ""] = error(403, "PERMISSION_DENIED")
    with pytest.raises(NotAuthorised):
        found()


def test_a_global_list_whose_second_page_is_refused_fails_the_look(pages):
    """As when the token of the page has expired: the service knows `global`, and a job may be there."""
    pages[GLOBAL, ""] = ([], "a")
    pages[GLOBAL, "a"] = error(400, "INVALID_ARGUMENT")
    with pytest.raises(Refused):
        found()


@pytest.mark.parametrize("behaviour", [error(404, "NOT_FOUND"), error(400, "INVALID_ARGUMENT")])
def test_a_service_without_global_holds_no_job_there(pages, behaviour):
    pages[REGION, ""] = ([job(1)], "")
    pages[GLOBAL, ""] = behaviour
    assert found() == ["us-central1/1"]


def test_an_unknown_state_is_shown_as_sent(settings):
    body = json.dumps(job(1) | {"state": 99}).encode()
    with bad_server(answer(200, body)) as server:
        settings.VERTEX_API_ENDPOINT = server.address
        assert Gateway().tuning.get("projects/1/locations/us-central1/tuningJobs/1").state == "99"


def requests_of(gateway, server, **options):
    """Which places were asked with a filter, and which without."""
    before = len(server.requests)
    found = gateway.tuning.find("app-key", "k", **options)
    asked = [request.path.partition("?") for request in server.requests[before:]]
    return len(found), [(path.split("/")[5], "filter" in query) for path, _mark, query in asked]


@dataclass
class Replies:
    """To a filter, and to a list without one: jobs, or a behaviour."""

    filtered: Any = field(default_factory=list)
    all: Any = field(default_factory=list)


@pytest.fixture
def filtering(settings):
    """A server with its replies. A filter that was never seen to find anything proves nothing by finding nothing."""
    replies = Replies()
    with bad_server(lambda connection: behave(connection)) as server:

        def behave(connection):
            reply = replies.filtered if "filter" in server.requests[-1].path else replies.all
            (reply if callable(reply) else answer(200, {"tuningJobs": reply}))(connection)

        settings.VERTEX_API_ENDPOINT = server.address
        yield server, replies


def test_a_filter_that_finds_is_trusted_from_then_on_in_that_place(filtering):
    server, replies = filtering
    gateway = Gateway()
    replies.filtered = replies.all = [job(1)]
    assert requests_of(gateway, server) == (1, [(REGION, True), (GLOBAL, True)])
    replies.filtered = []
    assert requests_of(gateway, server) == (0, [(REGION, True), (GLOBAL, True)])


def test_a_filter_that_finds_nothing_is_not_believed(filtering):
    server, replies = filtering
    replies.all = [job(1)]
    asked = [(REGION, True), (REGION, False), (GLOBAL, True), (GLOBAL, False)]
    assert requests_of(Gateway(), server) == (1, asked)


def test_a_filter_that_the_server_leaves_out_is_done_here(filtering):
    server, replies = filtering
    replies.filtered = replies.all = [job(1), job(2, key="other")]
    assert requests_of(Gateway(), server)[0] == 1


def test_a_filter_that_is_refused_is_not_sent_again(filtering):
    server, replies = filtering
    gateway = Gateway()
    replies.filtered, replies.all = error(400, "INVALID_ARGUMENT"), [job(1)]
    asked = [(REGION, True), (REGION, False), (GLOBAL, True), (GLOBAL, False)]
    assert requests_of(gateway, server) == (1, asked)
    assert requests_of(gateway, server) == (1, [(REGION, False), (GLOBAL, False)])


def test_a_thorough_look_asks_for_no_filter(filtering):
    server, replies = filtering
    gateway = Gateway()
    replies.filtered = replies.all = [job(1)]
    gateway.tuning.find("app-key", "k")
    replies.filtered = []
    assert requests_of(gateway, server, is_thorough=True) == (1, [(REGION, False), (GLOBAL, False)])


@pytest.mark.parametrize("behaviour", [error(403, "PERMISSION_DENIED"), error(503, "UNAVAILABLE")])
def test_missing_rights_with_a_filter_and_a_server_that_is_away_fail_the_look(filtering, behaviour):
    server, replies = filtering
    replies.filtered, replies.all = behaviour, [job(1)]
    with pytest.raises((NotAuthorised, Unavailable)):
        Gateway().tuning.find("app-key", "k")
    assert len(server.requests) == 1
