"""Stop reaches the server, and the person, whatever the server does. Threads with connections of their own."""

import socket
import threading
import time
from contextlib import contextmanager
from uuid import uuid4

import pytest
from django.db import connection

from jobs.services.chat import conversations
from jobs.vertex import get_gateway
from tests.fakes.chat import SILENCE
from tests.jobs.services.chat.test_conversations import serve
from tests.support import factories
from tests.support.misbehaving_server import bad_server

pytestmark = pytest.mark.django_db(transaction=True)
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
WORDS = b'data: {"choices":[{"delta":{"content":"Partial "}}]}\n\n'


@contextmanager
def being_answered(endpoint):
    answer = conversations.ask(factories.conversation(endpoint=endpoint), key=uuid4(), text="Ahoy")
    thread = threading.Thread(target=run, args=(answer.pk,))
    thread.start()
    yield answer
    thread.join(10)
    assert not thread.is_alive()


def run(pk):
    try:
        conversations.answer(pk)
    finally:
        connection.close()


def wait_until(holds, seconds=5.0):
    """How long it took."""
    began = time.monotonic()
    while not holds():
        assert time.monotonic() - began < seconds
        time.sleep(0.01)
    return time.monotonic() - began


def state(answer):
    answer.refresh_from_db()
    return answer.state


@pytest.fixture
def endpoint(fake_gateway):
    made = factories.ready_endpoint()
    serve(fake_gateway, made)
    return made


@pytest.mark.parametrize(
    ("script", "content", "html"),
    [([SILENCE], "", ""), (["Partial ", SILENCE], "Partial ", "<p>Partial</p>\n")],
    ids=["before the first header", "between two tokens"],
)
def test_it_waits_for_nothing(endpoint, fake_gateway, script, content, html):
    fake_gateway.chat.script = [script]
    with being_answered(endpoint) as answer:
        wait_until(lambda: fake_gateway.chat.requests and state(answer) == "STREAMING")
        conversations.request_stop(answer)
        assert wait_until(lambda: state(answer) == "STOPPED") < 1
    assert (answer.content, answer.html, answer.error_message) == (content, html, "")


def test_a_reader_that_cannot_be_woken_is_left_behind(endpoint, fake_gateway):
    """As while it connects: there is nothing yet that could be cut."""
    released = threading.Event()
    fake_gateway.chat.script, fake_gateway.chat.on_chunk = [["late"]], lambda: released.wait(10)
    with being_answered(endpoint) as answer:
        wait_until(lambda: fake_gateway.chat.requests and state(answer) == "STREAMING")
        conversations.request_stop(answer)
        assert wait_until(lambda: state(answer) == "STOPPED") < 2
        released.set()
    assert (state(answer), answer.content) == ("STOPPED", "")


def test_an_answer_that_was_deleted_is_stopped(endpoint, fake_gateway):
    fake_gateway.chat.script = [["Partial ", SILENCE]]
    with being_answered(endpoint) as answer:
        wait_until(lambda: fake_gateway.chat.requests)
        conversations.delete(answer.conversation)
        wait_until(lambda: fake_gateway.chat.closed)


@pytest.mark.parametrize("sent", [b"", HEAD, HEAD + WORDS], ids=["nothing", "headers", "words"])
def test_a_silent_server_sees_the_connection_close(settings, sent):
    """It reads its prompt for a minute, say: what it would generate after that, nobody wants."""
    asked, left = threading.Event(), []

    def behave(connected: socket.socket) -> None:
        connected.sendall(sent)
        connected.settimeout(10)
        asked.set()
        left.append((connected.recv(1), time.monotonic()))

    settings.VERTEX_GATEWAY = "jobs.vertex.sdk.Gateway"
    get_gateway.cache_clear()
    with bad_server(behave) as server:
        settings.VERTEX_API_ENDPOINT = server.address
        with being_answered(factories.ready_endpoint()) as answer:
            asked.wait(10)
            if WORDS in sent:
                time.sleep(0.1)
            stopped = time.monotonic()
            conversations.request_stop(answer)
            wait_until(lambda: state(answer) == "STOPPED")
            wait_until(lambda: left)
    get_gateway.cache_clear()
    assert (left[0][0], left[0][1] - stopped < 1) == (b"", True)
    assert answer.content == ("Partial " if WORDS in sent else "")
