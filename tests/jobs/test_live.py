import socketserver
import threading
import time

import pytest
from django.db import transaction

from jobs import live
from tests.support.receivers import wait_until

NOBODY = "redis://127.0.0.1:1/0"


@pytest.fixture
def streams(settings, redis_url, broker):
    """What each stream holds, and for how many seconds it is kept."""
    settings.REDIS_URL = redis_url

    def read():
        found = {}
        for key in sorted(broker.scan_iter("live:*")):
            entries = [(fields[b"event"].decode(), fields[b"data"].decode()) for _id, fields in broker.xrange(key)]
            found[key.decode()] = entries, broker.ttl(key)
        return found

    return read


class HangUp(socketserver.BaseRequestHandler):
    asked = 0

    def handle(self):
        HangUp.asked += 1


@pytest.fixture
def hanging_up():
    """A server that ends every connection; it counts them."""
    with socketserver.TCPServer(("127.0.0.1", 0), HangUp) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        HangUp.asked = 0
        yield server
        server.shutdown()
        thread.join()


@pytest.mark.django_db
def test_the_bell_rings_after_the_commit(streams, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        live.notify(7, "job-1", "jobs")
        assert streams() == {}
    [(stream, (entries, seconds))] = streams().items()
    assert (stream, entries) == ("live:user:7", [("job-1", ""), ("jobs", "")])
    assert 86_300 < seconds <= 86_400


@pytest.mark.django_db(transaction=True)
def test_a_rollback_rings_nothing(streams):
    with transaction.atomic():
        live.notify(7, "jobs")
        transaction.set_rollback(True)
    assert streams() == {}


def test_chat_frames_expire_after_an_hour(streams):
    live.chat_frame("m", "end", "")
    [(stream, (entries, seconds))] = streams().items()
    assert (stream, entries) == ("live:chat:m", [("end", "")])
    assert 3500 < seconds <= 3600


def test_a_dead_redis_fails_nothing_and_is_not_asked_again_at_once(settings, hanging_up):
    settings.REDIS_URL = f"redis://127.0.0.1:{hanging_up.server_address[1]}/0"
    live.chat_frame("m", "", "x")
    asked = HangUp.asked
    for _ in range(50):
        live.chat_frame("m", "", "x")
    assert (asked > 0, HangUp.asked) == (True, asked)


@pytest.mark.django_db(transaction=True)
def test_who_missed_a_change_is_told_to_read_again_once_redis_answers(settings, streams, redis_url):
    """Redis may be too slow for a ring while the streams of the pages stay open."""
    settings.REDIS_URL = NOBODY
    live.notify(8, "endpoints")
    live.notify(7, "jobs")
    settings.REDIS_URL = redis_url
    assert wait_until(lambda: len(streams()) == 2)
    assert {stream: entries for stream, (entries, _seconds) in streams().items()} == {
        "live:user:7": [("live-refresh", "")], "live:user:8": [("live-refresh", "")],
    }  # fmt: skip


@pytest.mark.django_db(transaction=True)
def test_redis_is_asked_ever_more_rarely_while_it_does_not_answer(settings, streams, redis_url):
    settings.REDIS_URL = NOBODY
    live.notify(7, "jobs")
    for _ in range(3):
        live.breaker.reset()
        live.missed.tell()
    assert (streams(), live.missed.pause) == ({}, 16.0)
    settings.REDIS_URL = redis_url
    live.breaker.reset()
    live.missed.tell()
    assert (list(streams()), live.missed.pause) == (["live:user:7"], 2.0)


def test_nothing_listens_on_the_port(settings):
    settings.REDIS_URL = NOBODY
    began = time.monotonic()
    live.chat_frame("m", "", "x")
    assert time.monotonic() - began < 1
