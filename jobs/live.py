"""What the open pages hear of: a doorbell stream a person, a frame stream an answer.

Redis holds no truth here. When it is away nothing is published, the pages read the database at their next load, and
the service that rang goes on.
"""

import logging
import threading
import time
from functools import cache, partial
from typing import Any

import redis
from django.conf import settings
from django.db import transaction

logger = logging.getLogger(__name__)

USER_STREAM_LENGTH = 1000
CHAT_STREAM_LENGTH = 20_000
USER_STREAM_SECONDS = 24 * 3600
CHAT_STREAM_SECONDS = 3600
PAUSE_SECONDS = 2.0


@cache
def client(url: str) -> Any:
    return redis.Redis.from_url(url, socket_connect_timeout=0.5, socket_timeout=1.0)


class Breaker:
    """After a failure nothing is tried for two seconds: a dead Redis must not cost every chat frame a time-out."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._closed_until = 0.0

    def allows(self) -> bool:
        return time.monotonic() >= self._closed_until

    def trip(self, error: Exception) -> None:
        with self._lock:
            if self.allows():
                logger.warning("Live updates are paused, Redis does not answer: %s", error)
            self._closed_until = time.monotonic() + PAUSE_SECONDS


breaker = Breaker()


def ring(user_id: int, *topics: str) -> None:
    """Says what changed, once the change is committed; the page fetches it itself."""
    transaction.on_commit(partial(_ring, user_id, topics))


def tell(user_id: int, topic: str, data: str) -> None:
    """At once, for what is no change in the database, such as how far a request has come."""
    _publish(f"live:user:{user_id}", [(topic, data)], USER_STREAM_LENGTH, USER_STREAM_SECONDS)


def chat_frame(message_id: Any, event: str, data: str) -> None:
    _publish(f"live:chat:{message_id}", [(event, data)], CHAT_STREAM_LENGTH, CHAT_STREAM_SECONDS)


def _ring(user_id: int, topics: tuple[str, ...]) -> None:
    _publish(f"live:user:{user_id}", [(topic, "") for topic in topics], USER_STREAM_LENGTH, USER_STREAM_SECONDS)


def _publish(stream: str, messages: list[tuple[str, str]], length: int, seconds: int) -> None:
    if not breaker.allows():
        return
    try:
        with client(settings.REDIS_URL).pipeline(transaction=False) as pipe:
            for event, data in messages:
                pipe.xadd(stream, {"event": event, "data": data}, maxlen=length, approximate=True)
            pipe.expire(stream, seconds)
            pipe.execute()
    except redis.RedisError as error:
        breaker.trip(error)
