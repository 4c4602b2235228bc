"""Server-sent events from a Redis stream, without Django's request machinery: while it is open, it holds no thread.

`GET /streams/live?ticket=…` is the doorbell of one person; `GET /streams/chat/<message>?ticket=…` the frames of one
answer, and with several ids, comma between, those of as many: a browser has six connections to a console without TLS,
all its windows together. An entry has the fields `data` and, optionally, `event`; its Redis id, or one for each answer,
is the event's id (`end` for one that has ended), so that a browser which comes back with `Last-Event-ID` misses
nothing. `end` is the last event; of several answers each has its own `end-<message>` before. What has piled up of an
answer is sent as two frames at most: of the `draft`s of its unfinished block only the last one counts, and the `text`
that goes on with it comes after it, for htmx looks for the places of a frame before it fills the first.

The permission is the signed ticket, made while the page is drawn; it holds together with the session's cookie only, so
that an address in some log opens nothing, and until the session signs out: then its streams end at once. The mark that
ends them is in Redis and may be lost with it, so that each stream that opens asks for the session itself, too: one
question for all of a burst.
"""

import asyncio
import logging
import re
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Mapping, MutableMapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qs

import redis.asyncio as redis
from django.conf import settings
from django.core.signing import BadSignature, TimestampSigner
from django.db import DatabaseError
from django.http import parse_cookie
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from console.web.batches import Batch
from console.web.tail import Entry, Fold, Tail
from jobs import telemetry
from jobs.live import TICKET_SECONDS, over, seal

logger = logging.getLogger(__name__)

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

LIVE_SALT: Final = "console.web.streams.live"
CHAT_SALT: Final = "console.web.streams.chat"
LIVE_TICKET_SECONDS: Final = TICKET_SECONDS
CHAT_TICKET_SECONDS: Final = 3600
STREAM_SECONDS: Final = 3600
HEARTBEAT_SECONDS: Final = 15
OVERLAP_MS: Final = 2000
PER_USER: Final = 32
CONNECTIONS: Final = 4
EVENT_ID = re.compile(rb"(?:\d{1,20}-\d{1,20}|end)(?:,\d{1,20}-\d{1,20}|,end)*")
CHAT_PATH = re.compile(r"/streams/chat/([0-9a-f-]{36}(?:,[0-9a-f-]{36}){0,7})")
CHAT_KEY: Final = b"live:chat:"
END: Final = b"end"
HEADERS: Final = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'"),
    (b"cross-origin-resource-policy", b"same-origin"),
]

RETRY: Final = (b"retry-after", b"5")


def live_ticket(user_id: int, session: str | None) -> str:
    """Also says from when on the page has to hear of changes: from when it was drawn, not from when it connects."""
    return TimestampSigner(salt=LIVE_SALT).sign(f"{user_id}:{time.time_ns() // 1_000_000}:{seal(session)}")


def chat_ticket(messages: str, user_id: int, session: str | None) -> str:
    """`messages`: the id, or several with a comma between, as in the address."""
    return TimestampSigner(salt=CHAT_SALT).sign(f"{messages}:{user_id}:{seal(session)}")


@dataclass(frozen=True, slots=True)
class Subscription:
    """`over` is the stream that gets an entry when the session signs out."""

    keys: tuple[bytes, ...]
    user_id: int
    start: bytes
    live: bool
    over: bytes

    @property
    def fold(self) -> Fold:
        return newest_of_each_event if self.live else join_entries


def subscription(path: str, ticket: str, session: str) -> Subscription:
    """Raises BadSignature for a ticket that is false, too old, another stream's or another session's."""
    if path == "/streams/live":
        user, drawn, sealed = TimestampSigner(salt=LIVE_SALT).unsign(ticket, LIVE_TICKET_SECONDS).split(":")
        if sealed != seal(session):
            raise BadSignature
        start = b"%d-0" % (int(drawn) - OVERLAP_MS)
        return Subscription((f"live:user:{user}".encode(),), int(user), start, True, over(sealed).encode())
    match = CHAT_PATH.fullmatch(path)
    messages, user, sealed = TimestampSigner(salt=CHAT_SALT).unsign(ticket, CHAT_TICKET_SECONDS).split(":")
    if match is None or match[1] != messages or sealed != seal(session):
        raise BadSignature
    keys = tuple(CHAT_KEY + message.encode() for message in messages.split(","))
    return Subscription(keys, int(user), b"0-0", False, over(sealed).encode())


class Places:
    """How far each stream of a subscription has come: what the browser hands back as the id of the last event."""

    def __init__(self, wanted: Subscription, last: bytes) -> None:
        """An id of another number of streams is none that this address gave."""
        given = last.split(b",") if last else []
        is_known = len(given) == len(wanted.keys)
        self.at = dict(zip(wanted.keys, given if is_known else [wanted.start] * len(wanted.keys), strict=True))

    def __bytes__(self) -> bytes:
        return b",".join(self.at.values())

    @property
    def open(self) -> dict[bytes, bytes]:
        """Without the answers that have ended."""
        return {key: at for key, at in self.at.items() if at != END}

    def after(self, key: bytes, entry_id: bytes) -> bytes:
        self.at[key] = entry_id
        return bytes(self)


def frame(entry_id: bytes, fields: dict[bytes, bytes]) -> bytes:
    lines = [b"id: " + entry_id]
    if event := fields.get(b"event"):
        lines.append(b"event: " + event)
    data = b"".join(fields.get(name, b"") for name in (b"data", b"draft", b"text"))
    lines.extend(b"data: " + line for line in data.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n"))
    return b"\n".join(lines) + b"\n\n"


def frames(wanted: Subscription, places: Places, found: Mapping[bytes, list[Entry]]) -> Iterator[bytes]:
    """All but the last `end`."""
    for key, entries in found.items():
        for entry_id, fields in wanted.fold(entries):
            if wanted.live or fields.get(b"event") != END:
                yield frame(places.after(key, entry_id), fields)
                continue
            event_id = places.after(key, END)
            if len(wanted.keys) > 1:
                yield frame(event_id, {b"event": b"end-" + key.removeprefix(CHAT_KEY)})


def join_entries(entries: Iterable[Entry]) -> list[Entry]:
    """What piled up of one answer as two entries at most, and what is an event of its own after them."""
    found: list[Entry] = []
    drawn: list[Entry] = []
    said: list[Entry] = []
    for entry_id, fields in entries:
        if fields.get(b"event"):
            found += [*drawn, *said, (entry_id, fields)]
            drawn, said = [], []
        elif b"text" in fields:
            said = [(entry_id, {b"text": b"".join(each[b"text"] for _, each in said) + fields[b"text"]})]
        else:
            data = b"".join(each[b"data"] for _, each in drawn) + fields.get(b"data", b"")
            drawn, said = [(entry_id, {**fields, b"data": data})], []
    return [*found, *drawn, *said]


def newest_of_each_event(entries: Iterable[Entry]) -> list[Entry]:
    """A doorbell that rang five times for one thing is answered once."""
    newest: dict[bytes, Entry] = {}
    for entry in entries:
        event = entry[1].get(b"event", b"")
        newest.pop(event, None)
        newest[event] = entry
    return list(newest.values())


async def answer(send: Send, status: int, text: str, *more: tuple[bytes, bytes]) -> None:
    headers = [*HEADERS[1:], (b"content-type", b"text/plain; charset=utf-8"), *more]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": text.encode()})


async def wait_for_disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def connect(url: str, read_timeout: float) -> Any:
    """A burst of streams shares a few connections; each has one short question. One more is for the tail."""
    options: dict[str, Any] = {"protocol": 2, "socket_timeout": read_timeout, "retry": Retry(NoBackoff(), 0)}
    pool = redis.BlockingConnectionPool.from_url(url, max_connections=CONNECTIONS, timeout=read_timeout, **options)
    return redis.Redis.from_pool(pool)


@dataclass(slots=True)
class Streams:
    """The ASGI app; `close` ends all streams. `find_alive` tells which keys of sessions somebody is signed in with."""

    url: str = ""
    per_user: int = PER_USER
    heartbeat: float = HEARTBEAT_SECONDS
    closing: asyncio.Event = field(default_factory=asyncio.Event)
    open_by_user: Counter[int] = field(default_factory=Counter)
    open: int = 0
    find_alive: Callable[[Collection[str]], Awaitable[set[str]]] | None = None
    client: Any = None
    tail: Tail | None = None
    ended: Batch[tuple[str, bytes]] = field(init=False)

    def __post_init__(self) -> None:
        self.ended = Batch(self.find_ended)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] != "GET":
            await answer(send, 405, "Streams are read with GET.")
            return
        ticket = parse_qs(scope["query_string"].decode("latin-1")).get("ticket", [""])[0]
        session = session_of(scope)
        try:
            wanted = subscription(scope["path"], ticket, session)
        except (BadSignature, ValueError):
            await answer(send, 403, "The ticket is not valid. Reload the page.")
            return
        if refusal := self.refusal(wanted.user_id):
            await answer(send, *refusal, RETRY)
            return
        self.note_open(wanted.user_id, 1)
        try:
            await self.serve(wanted, session, last_event_id(scope), receive, send)
        finally:
            self.note_open(wanted.user_id, -1)

    def note_open(self, user_id: int, more: int) -> None:
        self.open_by_user[user_id] += more
        self.open += more
        telemetry.STREAMS.set(self.open)

    def refusal(self, user_id: int) -> tuple[int, str] | None:
        if self.closing.is_set():
            return 503, "The server is stopping."
        if self.open_by_user[user_id] >= self.per_user:
            return 429, "Too many pages are open at once. Close some of them."
        return None

    def connection(self) -> Any:
        if self.client is None:
            self.client = connect(self.url or settings.REDIS_URL, self.heartbeat + 5)
        return self.client

    async def serve(self, wanted: Subscription, session: str, last: bytes, receive: Receive, send: Send) -> None:
        try:
            if await self.ended.ask((session, wanted.over)):
                await answer(send, 403, "The session is over. Sign in again.")
                return
            places, opening = await self.opening(wanted, last)
        except (RedisError, OSError, DatabaseError):
            await answer(send, 503, "Live updates are not available.", RETRY)
            return
        await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
        await send({"type": "http.response.body", "body": opening, "more_body": True})
        await self.run_until_over(self.pump(wanted, places, send), receive)
        with suppress(OSError):
            await send({"type": "http.response.body", "body": b""})

    async def find_ended(self, asked: Collection[tuple[str, bytes]]) -> set[tuple[str, bytes]]:
        """Of sessions and their marks. The mark is asked for last: it is set before the session's row goes."""
        sessions = {session for session, _mark in asked}
        alive = await self.find_alive(sessions) if self.find_alive else sessions
        marks = self.connection().pipeline(transaction=False)
        for _session, mark in asked:
            marks.exists(mark)
        found = zip(asked, await marks.execute(), strict=True)
        return {each for each, is_marked in found if is_marked or each[0] not in alive}

    async def opening(self, wanted: Subscription, last: bytes) -> tuple[Places, bytes]:
        """Where to read from, and the first bytes. A live page that comes back is told to fetch everything once:
        the stream is short and may have lost what rang meanwhile."""
        places = Places(wanted, last)
        if last and wanted.live:
            (key,) = wanted.keys
            if newest := await self.connection().xrevrange(key, count=1):
                places.after(key, newest[0][0])
            return places, b"retry: 1000\n" + frame(bytes(places), {b"event": b"live-refresh"})
        return places, b"retry: 1000\nid: %s\n\n" % bytes(places)

    async def pump(self, wanted: Subscription, places: Places, send: Send) -> None:
        if self.tail is None:
            self.tail = Tail(self.connection(), self.heartbeat)
        async with self.tail.reading({**places.open, wanted.over: b"0-0"}, wanted.fold) as reader:
            while places.open and wanted.over not in (found := await reader.read(self.heartbeat)):
                body = b"".join(frames(wanted, places, found)) or b":\n\n"
                await send({"type": "http.response.body", "body": body, "more_body": True})
            if not places.open:
                await send(
                    {"type": "http.response.body", "body": frame(bytes(places), {b"event": END}), "more_body": True}
                )

    async def run_until_over(self, pumping: Any, receive: Receive) -> None:
        """Until the stream ends, the browser leaves, the server stops or the hour is up; the browser comes back."""
        tasks = [asyncio.ensure_future(work) for work in (pumping, wait_for_disconnect(receive), self.closing.wait())]
        try:
            await asyncio.wait(tasks, timeout=STREAM_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
        failure = results[0]
        if isinstance(failure, Exception):
            logger.warning("A live stream ended early: %s", failure)

    async def close(self) -> None:
        self.closing.set()
        if self.client is not None:
            await self.client.aclose()
            self.client = self.tail = None


def header(scope: Scope, wanted: bytes) -> bytes:
    return next((value for name, value in scope["headers"] if name == wanted), b"")


def session_of(scope: Scope) -> str:
    return parse_cookie(header(scope, b"cookie").decode("latin-1")).get(settings.SESSION_COOKIE_NAME, "")


def last_event_id(scope: Scope) -> bytes:
    """Empty when there is none, or none that a Redis stream could have given: its numbers have 64 bits."""
    value = header(scope, b"last-event-id")
    is_possible = EVENT_ID.fullmatch(value) and all(int(number) < 2**64 for number in re.findall(rb"\d+", value))
    return value if is_possible else b""


app = Streams()
