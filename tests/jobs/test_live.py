import threading
import time

import pytest
import redis
from django.db import transaction

from jobs import live
from tests.receivers import wait_until


class Pipe:
    def __init__(self, log, error):
        self.log, self.error = log, error

    def __enter__(self):
        return self

    def __exit__(self, *args):
        return None

    def xadd(self, stream, fields, maxlen, approximate):
        self.log.append((stream, fields["event"], fields["data"]))

    def expire(self, stream, seconds):
        self.log.append((stream, seconds))

    def execute(self):
        if self.error:
            raise self.error


class FakeRedis:
    def __init__(self, error=None):
        self.log, self.error, self.calls = [], error, 0

    def pipeline(self, transaction):
        self.calls += 1
        return Pipe(self.log, self.error)


@pytest.fixture
def use(monkeypatch):
    """Tests before this one may have left timers that still want to tell somebody."""
    for thread in threading.enumerate():
        if isinstance(thread, threading.Timer):
            thread.cancel()

    def install(fake):
        monkeypatch.setattr(live, "client", lambda url: fake)
        monkeypatch.setattr(live, "breaker", live.Breaker())
        monkeypatch.setattr(live, "missed", live.Missed())
        return fake

    return install


@pytest.mark.django_db
def test_the_bell_rings_after_the_commit(use, django_capture_on_commit_callbacks):
    fake = use(FakeRedis())
    with django_capture_on_commit_callbacks(execute=True):
        live.ring(7, "job-1", "jobs")
        assert fake.log == []
    assert fake.log == [("live:user:7", "job-1", ""), ("live:user:7", "jobs", ""), ("live:user:7", 86_400)]


@pytest.mark.django_db(transaction=True)
def test_a_rollback_rings_nothing(use):
    fake = use(FakeRedis())
    with transaction.atomic():
        live.ring(7, "jobs")
        transaction.set_rollback(True)
    assert fake.log == []


def test_chat_frames_expire_after_an_hour(use):
    fake = use(FakeRedis())
    live.chat_frame("m", "end", "")
    assert fake.log == [("live:chat:m", "end", ""), ("live:chat:m", 3600)]


def test_a_dead_redis_fails_nothing_and_is_not_asked_again_at_once(use):
    fake = use(FakeRedis(redis.ConnectionError("refused")))
    for _ in range(50):
        live.chat_frame("m", "", "x")
    assert fake.calls == 1


@pytest.mark.django_db(transaction=True)
def test_who_missed_a_change_is_told_to_read_again_once_redis_answers(use):
    """Redis may be too slow for a ring while the streams of the pages stay open."""
    fake = use(FakeRedis(redis.TimeoutError("slow")))
    live.ring(8, "endpoints")
    live.ring(7, "jobs")
    fake.error = None
    fake.log.clear()
    assert wait_until(lambda: len(fake.log) == 4)
    assert fake.log[::2] == [("live:user:7", "live-refresh", ""), ("live:user:8", "live-refresh", "")]


@pytest.mark.django_db(transaction=True)
def test_redis_is_asked_ever_more_rarely_while_it_does_not_answer(use):
    fake = use(FakeRedis(redis.ConnectionError("refused")))
    live.ring(7, "jobs")
    for _ in range(3):
        live.breaker = live.Breaker()
        live.missed.tell()
    assert (fake.calls, live.missed.pause) == (4, 16.0)
    fake.error = None
    live.breaker = live.Breaker()
    live.missed.tell()
    assert (fake.calls, live.missed.pause) == (5, 2.0)


def test_nothing_listens_on_the_port(settings, monkeypatch):
    monkeypatch.setattr(live, "breaker", live.Breaker())
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    began = time.monotonic()
    live.chat_frame("m", "", "x")
    assert time.monotonic() - began < 1
