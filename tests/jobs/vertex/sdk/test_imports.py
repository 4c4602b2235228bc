"""Answers that no local Vertex AI gives: what a publisher calls a model and its files passes through it."""

import pytest

from jobs.vertex.hub import ImportSpec, RemoteImport
from jobs.vertex.sdk import Gateway
from jobs.vertex.sdk.cloud import rest
from tests.support.misbehaving_server import answer, bad_server

TURNED = "\u202e" * 300


@pytest.fixture
def server(settings):
    with bad_server(answer(200, {})) as server:
        settings.VERTEX_API_ENDPOINT, settings.VERTEX_IMPORT_KEY = server.address, "a key of this test alone"
        rest._session.cache_clear()
        yield server
    rest._session.cache_clear()


def test_texts_and_numbers_of_facts_fit_into_a_row(server):
    file = {"name": TURNED, "size": 2**60}
    server.behave = answer(
        200,
        {"file": TURNED, "title": None, "size": -1, "free": True, "gated": "yes", "files": [file, 7], "choices": "all"},
    )
    facts = Gateway().imports.inspect(ImportSpec("acme/Tiny"))
    assert (facts["file"], facts["title"]) == ("\\u202e" * 50, "")
    assert (facts["size"], facts["free"], facts["gated"]) == (0, 0, False)
    assert (facts["files"], facts["choices"]) == ([{"name": "\\u202e" * 50, "size": 0}], [])


def test_what_an_import_does_not_tell_is_empty(server):
    server.behave = answer(200, {"state": "RUNNING", "message": None, "done": "much", "total": 1.5})
    assert Gateway().imports.get("1") == RemoteImport("RUNNING")
