"""Requests that no browser sends, written to the socket as they are: none makes a page fail, hang or believe them."""

import random
import re
import time
from collections.abc import Iterator
from typing import Any

import pytest
from django.urls import reverse

from tests.support import factories
from tests.support.answers import close_files
from tests.support.attacks import Target, fetch, target_of
from tests.support.routes import patterns
from tests.support.web import make_people, running_web

pytestmark = [pytest.mark.timeout(180), pytest.mark.threat("T21")]
PATIENCE = 8


class Site:
    def __init__(self, console: Any, session: str) -> None:
        self.console, self.session = console, session
        self.target: Target = target_of(console.address)
        self.host = f"Host: {self.target.host}:{self.target.port}\r\n"

    def send(self, request: bytes | str) -> tuple[int, bytes]:
        """The status of the first answer, 0 for none, and all that came until the end of the connection."""
        raw = request if isinstance(request, bytes) else request.encode("latin-1")
        began = time.monotonic()
        with self.target.connect() as connection:
            connection.settimeout(PATIENCE)
            answer = b""
            try:
                connection.sendall(raw)
                while part := connection.recv(65536):
                    answer += part
            except ConnectionError:
                pass
        assert time.monotonic() - began < PATIENCE
        status = re.match(rb"HTTP/1\.1 (\d{3}) ", answer)
        return int(status[1]) if status else 0, answer


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with running_web(tmp_path_factory.mktemp("headers") / "data", CONSOLE_HTTPS="") as console:
        yield Site(console, make_people(console, 1)[0]["session"])


CLOSE = "Connection: close\r\n\r\n"
SIGN_IN = "GET /accounts/sign-in/ HTTP/1.1\r\n"
REQUESTS: dict[str, tuple[Any, set[int]]] = {
    "no host": (SIGN_IN + CLOSE, {400}),
    "two hosts": (SIGN_IN + "{host}Host: evil.example\r\n" + CLOSE, {400}),
    "another host": (SIGN_IN + "Host: evil.example\r\n" + CLOSE, {400}),
    "another host for a file": ("GET /healthz HTTP/1.1\r\nHost: evil.example\r\n" + CLOSE, {400}),
    "a host that is none": (SIGN_IN + "Host: [::1\r\n" + CLOSE, {400}),
    "two lengths": ("POST / HTTP/1.1\r\n{host}Content-Length: 1\r\nContent-Length: 2\r\n" + CLOSE, {400}),
    "a length and chunks": (
        "POST /accounts/sign-in/ HTTP/1.1\r\n{host}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n"
        + CLOSE + "0\r\n\r\n", {400},
    ),
    "chunks of another coding": (
        "POST /accounts/sign-in/ HTTP/1.1\r\n{host}Transfer-Encoding: gzip, chunked\r\n" + CLOSE, {400, 501}
    ),
    "a negative length": ("POST / HTTP/1.1\r\n{host}Content-Length: -1\r\n" + CLOSE, {400}),
    "a length in words": ("POST / HTTP/1.1\r\n{host}Content-Length: many\r\n" + CLOSE, {400}),
    "an endless length": ("POST / HTTP/1.1\r\n{host}Content-Length: " + "9" * 5000 + "\r\n" + CLOSE, {400}),
    "an absolute address": ("GET http://evil.example/accounts/sign-in/ HTTP/1.1\r\n{host}" + CLOSE, {400}),
    "an asterisk": ("OPTIONS * HTTP/1.1\r\n{host}" + CLOSE, {400}),
    "a tunnel": ("CONNECT evil.example:443 HTTP/1.1\r\n{host}" + CLOSE, {400}),
    "a method of its own": ("BREW /accounts/sign-in/ HTTP/1.1\r\n{host}" + CLOSE, {403, 405}),
    "a header with a bare line feed": (SIGN_IN + "{host}X-A: a\nX-B: b\r\n" + CLOSE, {200, 400}),
    "a header with a carriage return": (SIGN_IN + "{host}X-A: a\rX-B: b\r\n" + CLOSE, {400}),
    "a header with a zero byte": (SIGN_IN + "{host}X-A: a\x00b\r\n" + CLOSE, {400}),
    "a folded header": (SIGN_IN + "{host}X-A: a\r\n b\r\n" + CLOSE, {200, 400}),
    "a header without a name": (SIGN_IN + "{host}: a\r\n" + CLOSE, {400}),
    "a space before the colon": (SIGN_IN + "{host}X-A : a\r\n" + CLOSE, {400}),
    "a huge header": (SIGN_IN + "{host}X-A: " + "a" * 100_000 + "\r\n" + CLOSE, {0, 400, 431}),
    "headers without number": (SIGN_IN + "{host}" + "X-A: a\r\n" * 3000 + CLOSE, {431}),
    "a huge address": ("GET /" + "a" * 100_000 + " HTTP/1.1\r\n{host}" + CLOSE, {0, 400, 431}),
    "bad percent signs": ("GET /%zz%/%c3%28%00?%zz=%ff HTTP/1.1\r\n{host}" + CLOSE, {302, 400, 404}),
    "dots and slashes": ("GET /static/..%2f..%2fsecret-key HTTP/1.1\r\n{host}" + CLOSE, {302, 404}),
    "more dots and slashes": ("GET //static/../../secret-key HTTP/1.1\r\n{host}" + CLOSE, {302, 404}),
    "a line end in the address": ("GET /a%0d%0aX-Injected:%20b HTTP/1.1\r\n{host}" + CLOSE, {302, 404}),
    "an old protocol": ("GET /accounts/sign-in/ HTTP/1.0\r\n{host}\r\n", {200}),
    "a future protocol": ("GET / HTTP/9.9\r\n{host}" + CLOSE, {302, 400, 505}),
    "an upgrade": (
        "GET /healthz HTTP/1.1\r\n{host}Connection: Upgrade, close\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", {200},
    ),
    "an expectation": ("POST / HTTP/1.1\r\n{host}Expect: 200-maybe\r\nContent-Length: 0\r\n" + CLOSE, {302, 403, 417}),
    "cookies of rubbish": (SIGN_IN + "{host}Cookie: =;;sessionid;sessionid==\xff\"\r\n" + CLOSE, {200}),
    "a range of nonsense": ("GET /static/console.css HTTP/1.1\r\n{host}Range: bytes=9-1,-0,z\r\n" + CLOSE, {200, 416}),
    "a range beyond the end": ("GET /static/console.css HTTP/1.1\r\n{host}Range: bytes=99999999-\r\n" + CLOSE, {416}),
    "a form to a file": ("POST /static/console.css HTTP/1.1\r\n{host}Content-Length: 0\r\n" + CLOSE, {405}),
    "no words": ("\r\n\r\n\r\n\r\n", {0, 400, 408}),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(200)), {400}),
}  # fmt: skip


@pytest.mark.parametrize("name", REQUESTS)
def test_a_strange_request_gets_an_answer_that_says_so(site: Site, name: str) -> None:
    request, statuses = REQUESTS[name]
    status, answer = site.send(request if isinstance(request, bytes) else request.replace("{host}", site.host))
    assert status in statuses, answer[:500]
    assert b"X-Injected" not in answer.partition(b"\r\n\r\n")[0]


def test_a_length_and_chunks_are_never_read_in_two_ways(site: Site) -> None:
    """What a proxy takes for the body of one request is not another request here."""
    inner = f"GET /healthz HTTP/1.1\r\n{site.host}\r\n"
    head = f"POST /accounts/sign-in/ HTTP/1.1\r\n{site.host}Content-Length: {len(inner) + 5}\r\n"
    _, answer = site.send(f"{head}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n{inner}")
    assert b'{"status": "ok"}' not in answer


def test_a_header_with_an_underscore_is_not_the_one_with_a_hyphen(tmp_path: Any) -> None:
    """A proxy sets `X-Forwarded-Proto` itself and lets the other one through; with TLS a page over HTTP redirects."""
    with running_web(
        tmp_path / "data", CONSOLE_HTTPS="1", CONSOLE_ALLOWED_HOSTS="127.0.0.1", CONSOLE_TRUSTED_PROXIES="127.0.0.1"
    ) as console:
        site = Site(console, "")
        assert site.send(f"{SIGN_IN}{site.host}X_Forwarded_Proto: https\r\n{CLOSE}")[0] == 301
        assert site.send(f"{SIGN_IN}{site.host}X-Forwarded_Proto: https\r\n{CLOSE}")[0] == 301


@pytest.mark.slow
def test_five_hundred_requests_of_noise_make_no_page_fail(site: Site) -> None:
    chance = random.Random(21)
    pieces = ["\r\n", "\n", "\x00", ":", " ", "HTTP/1.1", "GET", "/", "%", "Host", "Content-Length", "\xff", "a", "0"]
    places = ["{n}", "GET /{n} HTTP/1.1\r\n{h}{c}", SIGN_IN + "{h}X: {n}\r\n{c}", "{n}" + SIGN_IN + "{h}{c}"]
    found = []
    for _ in range(500):
        noise = "".join(chance.choice(pieces) for _ in range(chance.randrange(1, 30)))
        place = chance.choice(places)
        request = place.replace("{n}", noise).replace("{h}", site.host).replace("{c}", CLOSE)
        with site.target.connect() as connection:
            connection.sendall(request.encode("latin-1"))
            connection.shutdown(1)
            connection.settimeout(PATIENCE)
            try:
                found.append(connection.recv(12))
            except ConnectionError:
                found.append(b"")
    assert [answer for answer in found if answer.startswith(b"HTTP/1.1 5")] == []
    assert fetch(site.console.address, "/healthz") == 200


PUBLIC = {"healthz", "readyz", "readyz-of", "metrics"}


@pytest.mark.django_db
def test_what_is_of_a_person_is_stored_by_nobody_in_between(client: Any, owner: Any) -> None:
    """Every address without an id, and some with one: a page is not stored, a fragment by its own browser at most."""
    client.force_login(owner)
    client.raise_request_exception = False
    job = factories.job(state="SUCCEEDED", phase="CLOSED")
    ids: dict[str, Any] = dict.fromkeys(
        ["tuning-job", "tuning-metrics", "tuning-metrics-csv", "tuning-job-file"], job.pk
    )
    ids |= dict.fromkeys(["dataset-detail", "dataset-download", "dataset-rows", "dataset-problems"], job.dataset_id)
    ids |= {"endpoint-detail": factories.ready_endpoint(job=job).pk, "chat-picture": factories.picture().pk}
    ids |= {"chat-conversation": factories.conversation().pk}
    names = {pattern.name for pattern in patterns() if not pattern.pattern.converters} - PUBLIC
    addresses = [reverse(name) for name in sorted(names)] + [reverse(name, args=[pk]) for name, pk in ids.items()]
    wrong = {}
    for address in addresses:
        for headers in ({}, {"HX-Request": "true"}):
            answer = client.get(address, headers=headers)
            close_files(answer)
            words = {word.strip() for word in answer.headers.get("Cache-Control", "").split(",")}
            if not ("no-store" in words or {"private", "no-cache"} <= words or is_own_image(address, words)):
                wrong[address] = words
    assert wrong == {}


def is_own_image(address: str, words: set[str]) -> bool:
    """It never changes; its browser may keep it."""
    return "/pictures/" in address and "private" in words
