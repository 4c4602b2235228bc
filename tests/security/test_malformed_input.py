"""Junk from a seed for every address, as a person and as nobody: an answer or a refusal, never a failure.

test_no_500.py sends what is nearly right; here nothing is. `JUNK_SEED=…` sends other junk.
"""

import json
import os
import random
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, quote_from_bytes
from uuid import UUID, uuid4

import pytest
from django.test import Client

from tests.support import factories
from tests.support.routes import patterns
from tests.support.share import one_of

pytestmark = [pytest.mark.threat("T24"), pytest.mark.django_db]
SEED = os.environ.get("JUNK_SEED", "24")
# readyz and its like say 503 where no worker runs, as here.
ROUTES = {pattern.name: pattern for pattern in patterns() if not pattern.name.startswith("readyz")}
TIMES = 6
MANY_TIMES = 40
NAMES = (
    "q", "name", "next", "page", "after", "before", "sort", "endpoint", "dataset", "text", "key", "email", "job", "uri",
    "webhook_url", "username", "password", "picture", "base_model", "display_name", "labels", "schema", "ways", "kind",
    "epochs", "hours", "temperature", "minimum", "person", "folder", "amount", "label", "since", "until", "to", "state",
)  # fmt: skip
PIECES = [
    b"\0", b"\xff", b"\xed\xa0\x80", b"\xf0\x9f\x98", b"\r\n", b"\n", b";", b"=", b"&", b"%", b"%00", b"\"", b"'",
    b"\\", b"<", b"{{", b"{%", b"../", b"a", b"0", b"-", b"9" * 40, b"9" * 5000, b"1e999", b"nan", b"-0", b"null",
    b"[]", b"{", b"gs://", b"http://[", b"\xe2\x80\xae", b"\xe2\x84\xaa", b"\xc4\xb0", b"\xd9\xa3", b"x" * 3000, b" ",
    b"\t", b"__", b"9999-12-31", b"0001-01-01", b"T", b"Z", b"2026-02-30", b"True", b"csrfmiddlewaretoken",
]  # fmt: skip
METHODS = ["GET", "POST", "POST", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "BREW"]
HEADERS = [
    "HTTP_HX_REQUEST", "HTTP_HX_CURRENT_URL", "HTTP_HX_TARGET", "HTTP_HX_TRIGGER", "HTTP_HX_PROMPT", "HTTP_HX_BOOSTED",
    "HTTP_ACCEPT", "HTTP_ACCEPT_LANGUAGE", "HTTP_ACCEPT_ENCODING", "HTTP_REFERER", "HTTP_ORIGIN", "HTTP_USER_AGENT",
    "HTTP_IF_NONE_MATCH", "HTTP_IF_MODIFIED_SINCE", "HTTP_RANGE", "HTTP_AUTHORIZATION", "HTTP_X_CSRFTOKEN",
    "HTTP_X_FORWARDED_FOR", "HTTP_X_FORWARDED_PROTO", "HTTP_X_REQUEST_ID", "HTTP_SEC_FETCH_SITE", "HTTP_SEC_FETCH_MODE",
    "HTTP_HX_HISTORY_RESTORE_REQUEST", "HTTP_HX_CURRENT_URL_URI_AUTOENCODED", "HTTP_CONTENT_ENCODING", "HTTP_EXPECT",
]  # fmt: skip
COOKIES = ["sessionid", "csrftoken", "messages", "theme", "density", "django_language", "known-browser", "time_zone"]


class Junk:
    def __init__(self, seed: str) -> None:
        self.chance = random.Random(seed)

    def raw(self, most: int = 6) -> bytes:
        return b"".join(self.chance.choices(PIECES, k=self.chance.randrange(most)))

    def text(self) -> str:
        return self.raw().decode("utf-8", self.chance.choice(["surrogateescape", "replace", "ignore"]))

    def word(self) -> str:
        """As a server hands on a header: bytes, read as Latin-1, in one line."""
        return self.raw(4).translate(None, b"\r\n\0").decode("latin-1")

    def name(self) -> str:
        return self.chance.choice(NAMES) if self.chance.random() < 0.8 else self.text()[:200]

    def pairs(self) -> bytes:
        names = [quote(self.name(), errors="surrogateescape") for _ in range(self.chance.randrange(8))]
        return "&".join(f"{name}={quote_from_bytes(self.raw())}" for name in names).encode()

    def json(self, depth: int = 0) -> Any:
        kinds: list[Callable[[], Any]] = [
            lambda: None, lambda: self.text(), lambda: 10 ** self.chance.randrange(400), lambda: -1.5e308, lambda: True,
            lambda: float("nan"), lambda: "\ud800",
        ]  # fmt: skip
        if depth < 4:
            kinds += [
                lambda: [self.json(depth + 1) for _ in range(self.chance.randrange(4))],
                lambda: {self.name(): self.json(depth + 1) for _ in range(self.chance.randrange(4))},
            ]
        return self.chance.choice(kinds)()

    def multipart(self) -> tuple[bytes, str]:
        """Of parts that are cut off, doubled, unnamed or nested, with a boundary that may not fit."""
        boundary = self.chance.choice([b"x", b"", b"-" * 70, b"\xff", b'"', b"x" * 300])
        parts = []
        for _ in range(self.chance.randrange(5)):
            file = b'; filename="' + self.raw(3) + b'"' if self.chance.random() < 0.5 else b""
            head = b'Content-Disposition: form-data; name="' + self.name().encode("utf-8", "replace") + b'"' + file
            more = self.chance.choice(
                [b"", b"Content-Transfer-Encoding: base64", b"Content-Type: multipart/mixed", self.raw()]
            )
            ends = self.chance.choice([b"\r\n", b"\n", b"\r\n\r\n"])
            parts.append(b"--" + boundary + ends + head + ends + more + b"\r\n\r\n" + self.raw() + b"\r\n")
        body = b"".join(parts) + self.chance.choice([b"", b"--" + boundary + b"--\r\n", b"--" + boundary])
        told = self.chance.choice([boundary, boundary, b"y", b""]).decode("latin-1")
        return body[: self.chance.choice([None, None, len(body) // 2])], f"multipart/form-data; boundary={told}"

    def body(self) -> tuple[bytes, str]:
        kinds: list[Callable[[], tuple[bytes, str]]] = [
            lambda: (self.pairs(), "application/x-www-form-urlencoded"),
            lambda: (self.pairs(), f"application/x-www-form-urlencoded; charset={self.word()}"),
            lambda: (json.dumps(self.json()).encode(), "application/json"),
            lambda: (b"[" * 20_000, "application/json"),
            self.multipart,
            self.multipart,
            lambda: (self.raw(20), self.word()),
        ]
        return self.chance.choice(kinds)()

    def headers(self) -> dict[str, str]:
        found = {name: self.word() for name in self.chance.sample(HEADERS, self.chance.randrange(5))}
        if self.chance.random() < 0.3:
            found["HTTP_HX_REQUEST"] = "true"
        return found

    def cookies(self) -> str:
        return "; ".join(f"{name}={self.word()}" for name in self.chance.sample(COOKIES, self.chance.randrange(4)))

    def address(self, name: str) -> str:
        """Of a route, with a number of nothing, one of junk, or neither."""
        path = "/" + str(ROUTES[name].pattern)
        for key, converter in ROUTES[name].pattern.converters.items():
            kind = type(converter).__name__.removesuffix("Converter").lower()
            given = str(self.chance.choice([uuid4(), UUID(int=0), UUID(int=2**128 - 1)]))
            if kind != "uuid" or self.chance.random() < 0.2:
                given = quote_from_bytes(self.raw(3))[:4000]
            path = path.replace(f"<{kind}:{key}>", given or "0")
        return path + "?" + self.pairs().decode()


@pytest.fixture
def clients(owner: Any) -> list[Client]:
    """Of an administrator, and of nobody."""
    factories.publisher_model()
    factories.ready_endpoint(job=factories.job(state="SUCCEEDED", phase="CLOSED"))
    return [Client(raise_request_exception=False), Client(raise_request_exception=False)]


def send(junk: Junk, client: Client, owner: Any, name: str) -> Any:
    """With junk for cookies, but a session that counts."""
    client.cookies.clear()
    if owner:
        client.force_login(owner)
    session = "; ".join(f"{key}={morsel.value}" for key, morsel in client.cookies.items())
    cookies = "; ".join(filter(None, [junk.cookies(), session]))
    client.cookies.clear()
    body, content_type = junk.body()
    headers: dict[str, Any] = junk.headers() | {"HTTP_COOKIE": cookies}
    return client.generic(junk.chance.choice(METHODS), junk.address(name), body, content_type, **headers)


def failures_of(name: str, clients: list[Client], owner: Any, times: int, seed: str) -> list[Any]:
    junk, found = Junk(f"{seed} {name}"), []
    for _ in range(times):
        for client, person in zip(clients, (owner, None), strict=True):
            answer = send(junk, client, person, name)
            if answer.status_code >= 500:
                found.append((answer.status_code, answer.request["PATH_INFO"], answer.exc_info))
    return found


@pytest.mark.parametrize("part", one_of(4, range(4)))
def test_no_junk_makes_an_address_fail(clients: list[Client], owner: Any, part: int) -> None:
    print(f"JUNK_SEED={SEED}")
    names = sorted(ROUTES)[part::4]
    assert [failure for name in names for failure in failures_of(name, clients, owner, TIMES, SEED)] == []


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("part", range(4))
def test_much_more_junk(clients: list[Client], owner: Any, part: int) -> None:
    seed = os.environ.get("JUNK_SEED", str(random.SystemRandom().randrange(10**9)))
    print(f"JUNK_SEED={seed}")
    names = sorted(ROUTES)[part::4]
    assert [failure for name in names for failure in failures_of(name, clients, owner, MANY_TIMES, seed)] == []


def test_junk_reaches_the_views(clients: list[Client], owner: Any) -> None:
    """Most of it is not stopped at the door."""
    junk = Junk(SEED)
    statuses = [send(junk, clients[0], owner, name).status_code for name in sorted(ROUTES)]
    assert {200, 404, 405} <= set(statuses)
    assert sum(status in {200, 303, 302, 422, 404} for status in statuses) >= len(statuses) / 3
