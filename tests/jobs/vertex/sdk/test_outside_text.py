import pytest

from jobs.vertex.errors import Refused
from jobs.vertex.sdk import Gateway
from jobs.vertex.sdk.outside_text import LONGEST, clean, read_object
from tests.support.misbehaving_server import answer, bad_server

NAME = "projects/1/locations/us-central1/tuningJobs/1"
FORGED = "no\x00 \ud800room\n\u202eat all"
READABLE = "no\\x00 \\ud800room\n\\u202eat all"


def test_text_from_outside():
    assert clean(FORGED) == READABLE
    assert len(clean("x" * (LONGEST + 1))) == LONGEST


@pytest.mark.parametrize("text", ["", "{", "[1]", "7", "null", '{"a":' * 100_000])
def test_what_is_no_object_is_an_empty_one(text):
    assert read_object(text) == {}


def test_a_refusal_says_nothing_that_a_row_cannot_hold(settings):
    body = {"error": {"code": 400, "status": "LONG" * 20, "message": FORGED}}
    with bad_server(answer(400, body)) as server:
        settings.VERTEX_API_ENDPOINT = server.address
        with pytest.raises(Refused) as refused:
            Gateway().tuning.get(NAME)
    assert (str(refused.value), refused.value.code) == (READABLE, "INVALID_ARGUMENT")


def test_neither_does_a_job_that_failed(settings):
    body = {"name": NAME, "state": "JOB_STATE_FAILED", "error": {"code": 13, "message": "no\x00"}}
    with bad_server(answer(200, body)) as server:
        settings.VERTEX_API_ENDPOINT = server.address
        assert Gateway().tuning.get(NAME).error.message == "no\\x00"
