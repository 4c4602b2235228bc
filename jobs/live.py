"""What the open pages hear of: a doorbell stream a person, a frame stream an answer.

Redis holds no truth here. When it is away nothing is published and the service that rang goes on; once it answers,
the open pages of those whom it concerned are told to read everything again.
"""

import hashlib
import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
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
LONGEST_PAUSE_SECONDS = 60.0
# The longest that a page's ticket opens a stream.
TICKET_SECONDS = 12 * 3600


@cache
def client(url: str) -> Any:
    return redis.Redis.from_url(url, socket_connect_timeout=0.5, socket_timeout=1.0)


class Breaker:
    """After a failure nothing is tried for two seconds: a dead Redis must not cost every chat frame a time-out."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._closed_until = 0.0

    def reset(self) -> None:
        """Redis is tried again at once."""
        with self._lock:
            self._closed_until = 0.0

    def allows(self) -> bool:
        return time.monotonic() >= self._closed_until

    def trip(self, error: Exception) -> None:
        with self._lock:
            if self.allows():
                logger.warning("Live updates are paused, Redis does not answer: %s", error)
            self._closed_until = time.monotonic() + PAUSE_SECONDS


breaker = Breaker()


class Missed:
    """Whose pages did not hear of a change: a ring may be lost while their streams stay open."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users: set[int] = set()
        self.pause = PAUSE_SECONDS
        self._timer: threading.Timer | None = None

    def add(self, user_id: int) -> None:
        with self._lock:
            self._users.add(user_id)
            if self._timer is None:
                self._wait()

    def reset(self) -> None:
        """Nobody is told any more."""
        with self._lock:
            if self._timer:
                self._timer.cancel()
            self._users, self._timer, self.pause = set(), None, PAUSE_SECONDS

    def _wait(self) -> None:
        self._timer = threading.Timer(self.pause, self.tell)
        self._timer.daemon = True
        self._timer.start()

    def tell(self) -> None:
        """Again after a pause that doubles, as long as Redis does not answer."""
        with self._lock:
            users, self._users = self._users, set()
        unreachable = [user_id for user_id in sorted(users) if not _notify(user_id, ("live-refresh",))]
        with self._lock:
            self.pause = min(2 * self.pause, LONGEST_PAUSE_SECONDS) if unreachable else PAUSE_SECONDS
            self._timer = None
            if self._users:
                self._wait()


missed = Missed()


def notify(user_id: int, *topics: str) -> None:
    """Says what changed, once the change is committed; the page fetches it itself."""
    transaction.on_commit(partial(_notify, user_id, topics))


def tell(user_id: int, topic: str, data: str) -> None:
    """At once, for what is no change in the database, such as how far a request has come."""
    _publish(f"live:user:{user_id}", [(topic, data)], USER_STREAM_LENGTH, USER_STREAM_SECONDS)


def end_sessions(sealed: Iterable[str]) -> bool:
    """Their streams end at once, and no ticket of theirs opens one again. False: Redis does not know of it.

    Tried even when Redis has just failed.
    """
    streams = [over(each) for each in sealed]

    def fill(pipe: Any) -> None:
        for stream in streams:
            pipe.xadd(stream, {"event": "end", "data": ""}, maxlen=1, approximate=True)
            pipe.expire(stream, TICKET_SECONDS)

    return _send(fill, ignores_breaker=True)


def seal(session: str | None) -> str:
    return hashlib.sha256((session or "").encode()).hexdigest()[:32]


def over(sealed: str) -> str:
    """The stream that gets an entry when the session is over."""
    return f"live:over:{sealed}"


def chat_frame(message_id: Any, event: str, data: str) -> None:
    _publish(f"live:chat:{message_id}", [(event, data)], CHAT_STREAM_LENGTH, CHAT_STREAM_SECONDS)


@dataclass(frozen=True)
class Frame:
    """What one answer has to show: `fields` as console/web/streams.py reads them. `renews` the hour it is kept. `said`
    is the text that is new in it, from the character `at` on, for `chat_text`; no page reads that."""

    message_id: Any
    fields: Mapping[str, str]
    renews: bool = False
    said: str = ""
    at: int = 0

    @property
    def entry(self) -> Mapping[str, str | int]:
        return {**self.fields, "said": self.said, "at": self.at} if self.said else self.fields


def chat_frames(frames: Iterable[Frame]) -> bool:
    """Of many answers, in one round trip. False: nothing was sent, or nobody knows."""

    def fill(pipe: Any) -> None:
        for frame in frames:
            stream = f"live:chat:{frame.message_id}"
            pipe.xadd(stream, frame.entry, maxlen=CHAT_STREAM_LENGTH, approximate=True)
            if frame.renews:
                pipe.expire(stream, CHAT_STREAM_SECONDS)

    return _send(fill)


def chat_text(message_id: Any, saved: str) -> str:
    """`saved` and what goes on with it in the frames that were sent; `saved` alone if those are gone."""
    try:
        entries = client(settings.REDIS_URL).xrange(f"live:chat:{message_id}")
    except redis.RedisError as error:
        breaker.trip(error)
        return saved
    for _entry_id, fields in entries:
        said, at = fields.get(b"said", b"").decode(errors="replace"), int(fields.get(b"at", 0))
        if at <= len(saved) < at + len(said):
            saved = saved[:at] + said
    return saved


def _notify(user_id: int, topics: tuple[str, ...]) -> bool:
    stream, messages = f"live:user:{user_id}", [(topic, "") for topic in topics]
    if _publish(stream, messages, USER_STREAM_LENGTH, USER_STREAM_SECONDS):
        return True
    missed.add(user_id)
    return False


def _publish(stream: str, messages: list[tuple[str, str]], length: int, seconds: int) -> bool:
    def fill(pipe: Any) -> None:
        for event, data in messages:
            pipe.xadd(stream, {"event": event, "data": data}, maxlen=length, approximate=True)
        pipe.expire(stream, seconds)

    return _send(fill)


def _send(fill: Callable[[Any], None], *, ignores_breaker: bool = False) -> bool:
    if not ignores_breaker and not breaker.allows():
        return False
    try:
        with client(settings.REDIS_URL).pipeline(transaction=False) as pipe:
            fill(pipe)
            pipe.execute()
    except redis.RedisError as error:
        breaker.trip(error)
        return False
    return True
