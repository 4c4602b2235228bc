"""Each call to Google is counted once, by its method and how it ended."""

from contextlib import suppress

import pytest

from jobs import telemetry
from jobs.vertex import errors
from jobs.vertex.errors import NotFound, Unavailable, VertexError
from jobs.vertex.sdk import Gateway
from jobs.vertex.sdk.counted import OUTCOMES, Counted, outcome_of
from jobs.vertex.values import ChatChunk, ChatRequest
from tests.jobs.vertex.sdk.chat.test_answers import ENDPOINT, frames, stream, text
from tests.support.misbehaving_server import answer, bad_server, error

NAME = "projects/1/locations/us-central1/operations/1"
REQUEST = ChatRequest(ENDPOINT, "", [{"role": "user", "content": "Hello"}], {})


@pytest.fixture(autouse=True)
def _nothing_counted():
    telemetry.shared.forget()
    yield
    telemetry.shared.forget()


def counted():
    with telemetry.shared._lock:
        return {key[2:]: number for key, number in telemetry.shared._new.items()}


def read_all(answer):
    with answer as chunks:
        return list(chunks)


def test_a_call_that_was_answered_and_one_that_was_refused(settings):
    deployment = Gateway().deployment
    with bad_server(answer(200, {"name": NAME})) as server:
        settings.VERTEX_API_ENDPOINT = server.address
        assert deployment.get_operation(NAME).name == NAME
    with bad_server(error(404, "NOT_FOUND", "No such operation")) as server:
        settings.VERTEX_API_ENDPOINT = server.address
        with pytest.raises(NotFound):
            deployment.get_operation(NAME)
    assert counted() == {("deployment.get_operation", "ok"): 1, ("deployment.get_operation", "not_found"): 1}


def test_what_asks_nobody_is_no_call(settings):
    settings.VERTEX_API_ENDPOINT = "http://127.0.0.1:1"
    gateway = Gateway()
    names = gateway.deployment.endpoint_name("e"), gateway.deployment.model_name("m")
    assert (names[0].endswith("/endpoints/e"), names[1].endswith("/models/m"), counted()) == (True, True, {})
    assert gateway.connection.credentials().kind == "none"
    assert counted() == {}


def test_a_stream_counts_when_it_has_ended(settings):
    with bad_server(stream(frames(text("Arr"), "[DONE]"))) as server:
        settings.VERTEX_API_ENDPOINT = server.address
        with Gateway().chat.stream(REQUEST) as chunks:
            assert (next(chunks), counted()) == (ChatChunk("Arr"), {})
    assert counted() == {("chat.stream", "ok"): 1}


def test_a_stream_that_is_not_answered_and_one_that_breaks_off(settings):
    for behave in (error(503, "UNAVAILABLE", "Later"), stream(frames(text("Arr")))):
        with bad_server(behave) as server:
            settings.VERTEX_API_ENDPOINT = server.address
            with pytest.raises(Unavailable):
                read_all(Gateway().chat.stream(REQUEST))
    assert counted() == {("chat.stream", "unavailable"): 2}


def test_a_stream_that_a_person_stopped_is_no_failure(settings):
    with bad_server(stream(frames(text("Arr")))) as server:
        settings.VERTEX_API_ENDPOINT = server.address
        cut = Gateway().chat.stream(REQUEST)
        with suppress(VertexError), cut as chunks:
            next(chunks)
            cut.cut()
            list(chunks)
    assert counted() == {("chat.stream", "cut"): 1}


def test_every_error_of_the_gateway_has_its_word():
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, VertexError)]
    words = {kind: outcome_of(kind("x")) for kind in kinds if kind is not VertexError}
    assert words == OUTCOMES
    assert (outcome_of(None), outcome_of(ValueError()), outcome_of(VertexError("x"))) == ("ok", "failed", "failed")


def test_a_part_stays_what_it_is():
    class Part:
        limit = 3

        def read(self, number: int) -> int:
            return number

    part = Counted("storage", Part())
    assert (part.limit, part.read(4), part.read is part.read, hasattr(part, "nothing")) == (3, 4, True, False)
