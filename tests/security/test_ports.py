"""Every port that `manage.py up` opens, attacked by a web page in a real browser and by raw requests."""

import ipaddress
import json
import os
import re
import socket
import sqlite3
import struct
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage
from playwright.sync_api import Browser, BrowserContext

from tests.security.hostile import ATTACK, EVIL, PAGE, deceived_browser, hostile_site
from tests.support.running import Running, processes_of, running, with_tiny_model

pytestmark = [pytest.mark.threat("T4", "T21"), pytest.mark.timeout(240)]
PLACE = "/v1beta1/projects/garden-local/locations/us-central1"
TUNE = json.dumps({"baseModel": "google/gemma3@gemma-3-270m", "supervisedTuningSpec": {}})
COMMANDS = "\r\nSET canary dead\r\nFLUSHALL\r\n"
REFUSED = {400, 403}
TABLES = re.compile(
    r"jobs_(dataset|tuning|endpoint|model|checkpoint|conversation|message|remote)\w*|auth_user|authtoken\w*"
)
ALIVE = {"ok\n", "ok", "+PONG"}
ONCE: dict[str, Any] = {"retry": None, "timeout": 20}
PROBE = "console-status/"  # The console writes there by itself, to see whether it can.
ASK = """exec 3<>/dev/tcp/127.0.0.1/$0
printf "GET $1 HTTP/1.0\\r\\nHost: 127.0.0.1:$0\\r\\n\\r\\n" >&3
cat <&3"""
# Says the rest only after the first words of the answer.
ASK_LATE = """exec 3<>/dev/tcp/127.0.0.1/$0
IFS= read -r line <&3
printf "GET $1 HTTP/1.0\\r\\n" >&3
printf "Host: 127.0.0.1:$0\\r\\n\\r\\n" >&3
printf '%s\\n' "$line"
cat <&3"""
NOBODY = 65534
METRICS = {"METRICS_TOKEN": "a-token-that-nobody-guesses"}
KEPT = "A secret of the person who owns this machine."


def again(place: str) -> Any:
    return pytest.param(place, marks=pytest.mark.slow)


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("ports") / "data", with_tiny_model() | METRICS) as started:
        bucket = clients(started)[0].bucket("garden-local")
        for name in ("secret.txt", "folder/train.jsonl"):
            bucket.blob(name).upload_from_string(KEPT, content_type="text/plain")
        clients(started)[1].set("canary", "alive")
        yield started


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with deceived_browser() as opened:
        yield opened


@pytest.fixture(scope="module")
def site() -> Iterator[int]:
    with hostile_site() as port:
        yield port


@pytest.fixture(scope="module")
def owner(browser: Browser, console: Running) -> Iterator[BrowserContext]:
    """A browser whose person is signed in: cookies go to every port of a host."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(console.link)
    page.wait_for_url(f"{console.address}/")
    page.close()
    yield context
    context.close()


def ports(console: Running) -> dict[str, int]:
    known: dict[str, int] = json.loads((console.data_dir / "run/ports.json").read_text())
    return known


def clients(console: Running) -> tuple[storage.Client, redis.Redis]:
    settings = (console.data_dir / "cache/valkey.conf").read_text()
    port, password = re.findall(r"^(?:port|requirepass) (\S+)$", settings, re.M)
    address = {"api_endpoint": f"http://127.0.0.1:{ports(console)['storage']}"}
    objects = storage.Client(project="p", credentials=AnonymousCredentials(), client_options=address)
    return objects, redis.Redis(port=int(port), password=password)


def holdings(console: Running) -> dict[str, Any]:
    """All that an attack could have changed, by the clients that people use."""
    objects, cache = clients(console)
    vertex = f"http://127.0.0.1:{ports(console)['vertex']}{PLACE}"
    kinds = ("tuningJobs", "endpoints", "models", "customJobs")
    with sqlite3.connect(f"file:{console.data_dir / 'console.sqlite3'}?mode=ro", uri=True) as database:
        tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        rows = {name: database.execute(f"SELECT * FROM {name}").fetchall() for name in tables if TABLES.fullmatch(name)}  # noqa: S608  # names from the schema
    database.close()
    return {
        "objects": [
            (bucket.name, blob.name, blob.generation, blob.download_as_text(**ONCE))
            for bucket in objects.list_buckets(**ONCE)
            for blob in objects.list_blobs(bucket, **ONCE)
            if not blob.name.startswith(PROBE)
        ],
        "vertex": {kind: httpx.get(f"{vertex}/{kind}", trust_env=False).json() for kind in kinds},
        "ledger": sorted(path.read_text() for path in (console.data_dir / "localvertex").glob("ledger.jsonl")),
        "cache": (cache.get("canary"), cache.config_get("dir")),
        "rows": rows,
    }


def targets(console: Running, host: str = "127.0.0.1", only: str = "") -> list[dict[str, Any]]:
    known = ports(console)
    web, gs, vertex, cache = (f"http://{host}:{known[name]}" for name in ("web", "storage", "vertex", "cache"))
    found = [
        *(("GET", gs + path, "") for path in ("/wipe", "/wipe?keep-buckets=1", "/storage/v1/b/garden-local/o")),
        ("GET", f"{gs}/garden-local/secret.txt", ""),
        ("POST", f"{gs}/upload/storage/v1/b/garden-local/o?uploadType=media&name=evil.txt", "evil"),
        ("POST", f"{gs}/upload/storage/v1/b/garden-local/o?uploadType=multipart", "evil"),
        ("PUT", f"{gs}/garden-local/evil.txt", "evil"),
        ("DELETE", f"{gs}/storage/v1/b/garden-local/o/secret.txt", ""),
        ("GET", f"{vertex}{PLACE}/tuningJobs", ""),
        ("POST", f"{vertex}{PLACE}/tuningJobs", TUNE),
        ("POST", f"{vertex}{PLACE}/endpoints", '{"displayName": "evil"}'),
        ("GET", f"{cache}/", ""),
        ("POST", f"{cache}/", COMMANDS),
        *(("GET", web + path, "") for path in ("/", "/tuning/", "/settings/keys/", "/accounts/logout/", "/metrics")),
        ("GET", f"{web}/readyz/all", ""),
        ("POST", f"{web}/accounts/logout/", "x"),
        ("POST", f"{web}/settings/password/", "new_password1=evil-evil-1&new_password2=evil-evil-1"),
    ]
    return [{"method": method, "url": url, "body": body} for method, url, body in found if only in url]


def leaked(read: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What a page could read, but for sentences that say no."""
    return [one for one in read if one["status"] not in REFUSED and not is_refusal(one)]


def is_refusal(one: dict[str, Any]) -> bool:
    """A frame shows no status."""
    return one["how"] == "frame" and any(word in one["text"] for word in ('"code": 403', '"code":403', "Bad Request"))


@pytest.mark.parametrize(
    "place", ["127.0.0.1:{}/", again("127.0.0.1:{}/public"), again(EVIL + ":{}/"), EVIL + ":{}/public"]
)
def test_a_page_in_the_owners_browser(console: Running, owner: BrowserContext, site: int, place: str) -> None:
    before = holdings(console)
    page = owner.new_page()
    page.goto(f"http://{place.format(site)}")
    read = page.evaluate(ATTACK, targets(console))
    page.close()
    assert leaked(read) == []
    assert holdings(console) == before


@pytest.mark.parametrize("place", [again("/"), "/public"])
def test_a_page_that_goes_there(console: Running, owner: BrowserContext, site: int, place: str) -> None:
    """As `location = …` and as a window of its own."""
    before = holdings(console)
    for target in targets(console):
        if target["method"] == "GET":
            page = owner.new_page()
            page.goto(f"http://{EVIL}:{site}{place}")
            page.evaluate("url => { window.open(url); location = url }", target["url"])
            page.wait_for_timeout(150)
            page.close()
    for popup in owner.pages:
        popup.close()
    assert holdings(console) == before


@pytest.mark.parametrize("name", ["storage", "vertex", "web", "cache"])
def test_a_name_that_is_bound_anew(console: Running, browser: Browser, name: str) -> None:
    """The page came from a name that is ours by now: to the browser the port is its own server."""
    before = holdings(console)
    port = ports(console)[name]
    page = browser.new_page()
    page.route("**/start", lambda route: route.fulfill(body=PAGE.decode(), content_type="text/html"))
    page.goto(f"http://{EVIL}:{port}/start")
    read = page.evaluate(ATTACK, targets(console, EVIL, f":{port}/"))
    page.close()
    assert leaked(read) == []
    assert holdings(console) == before


def raw(port: int, head: str, body: str = "", *, half_closed: bool = False) -> str:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(head.replace("\n", "\r\n").encode() + b"\r\n\r\n" + body.encode())
        if half_closed:
            connection.shutdown(socket.SHUT_WR)
        answer = b""
        while part := connection.recv(65536):
            answer += part
    return answer.decode(errors="replace")


@pytest.mark.parametrize("name", ["web", "storage", "vertex"])
@pytest.mark.parametrize(
    ("target", "headers"),
    [
        ("{path}", "Host: evil.example:{port}"),
        ("{path}", "Host: evil.example:{port}\nSec-Fetch-Site: same-origin"),
        ("{path}", "Host: 127.0.0.1:{port}\nHost: evil.example"),
        ("{path}", "Host: evil.example\nHost: 127.0.0.1:{port}"),
        ("{path}", "Host: 0.0.0.0:{port}"),
        ("http://evil.example:{port}{path}", "Host: evil.example:{port}"),
        ("{path}", "X-Forwarded-Host: 127.0.0.1:{port}\nHost: evil.example:{port}"),
    ],
)
def test_raw_requests_for_another_host(console: Running, name: str, target: str, headers: str) -> None:
    port = ports(console)[name]
    path = {"web": "/accounts/login/", "storage": "/storage/v1/b", "vertex": f"{PLACE}/endpoints"}[name]
    answer = raw(port, f"GET {target} HTTP/1.1\n{headers}\nConnection: close".format(path=path, port=port))
    assert int(answer.split()[1]) in REFUSED
    assert "access-control" not in answer.lower()


@pytest.mark.skipif(os.getuid() != 0, reason="only root can be somebody else")
@pytest.mark.parametrize("name", ["storage", "vertex"])
def test_another_user_of_the_machine(console: Running, name: str) -> None:
    path = {"storage": "/storage/v1/b", "vertex": "/healthz"}[name]
    command = ["bash", "-c", ASK, str(ports(console)[name]), path]
    answers = [
        subprocess.run(command, user=user, cwd="/", capture_output=True, text=True).stdout for user in (NOBODY, 0)
    ]
    assert [int(answer.split()[1]) for answer in answers] == [403, 200]
    assert "the user who started it only" in answers[0]


@pytest.mark.skipif(os.getuid() != 0, reason="only root can be somebody else")
@pytest.mark.parametrize("name", ["storage", "vertex"])
def test_another_user_who_is_slow_to_ask_hears_why(console: Running, name: str) -> None:
    """A connection that is closed with something unread is reset, which ends who still writes."""
    command = ["bash", "-c", ASK_LATE, str(ports(console)[name]), "/"]
    answer = subprocess.run(command, user=NOBODY, cwd="/", capture_output=True, text=True)
    assert (answer.returncode, answer.stdout.split()[1:2]) == (0, ["403"])
    assert "the user who started it only" in answer.stdout


def test_what_speaks_http_gives_the_cache_no_commands(console: Running) -> None:
    """It ends at `POST` and at `Host:`, and knows nobody without the password."""
    before = holdings(console)
    for head in ("POST / HTTP/1.1\nHost: 127.0.0.1\nContent-Length: 99", "GET / HTTP/1.1\nHost: 127.0.0.1"):
        assert (
            raw(ports(console)["cache"], head, COMMANDS, half_closed=True).replace(
                "-NOAUTH Authentication required.\r\n", ""
            )
            == ""
        )
    assert holdings(console) == before


@pytest.mark.threat("T17", "T21")
def test_what_a_console_listens_on(console: Running) -> None:
    """With a model that answers, which has no port: only what the documentation lists, and on loopback only."""
    vertex = f"http://127.0.0.1:{ports(console)['vertex']}"
    body = {"publisherModelName": "publishers/google/models/gemma3@gemma-3-270m", "modelConfig": {"acceptEula": True}}
    httpx.post(f"{vertex}{PLACE}:deploy", json=body, trust_env=False).raise_for_status()
    until = time.monotonic() + 60
    while not answering(vertex):
        assert time.monotonic() < until, httpx.get(f"{vertex}/healthz", trust_env=False).text
        time.sleep(0.2)
    known = {("127.0.0.1", port) for port in ports(console).values()}
    assert listening({console.process.pid, *console.pids().values(), *processes_of(console.data_dir)}) == known


def answering(vertex: str) -> bool:
    models = httpx.get(f"{vertex}/healthz", trust_env=False).json()["serving"]["models"]
    return any(model["state"] == "answering" for model in models)


def listening(pids: set[int]) -> set[tuple[str, int]]:
    """Where these processes accept connections or datagrams, by /proc."""
    links = (link for pid in pids for link in Path(f"/proc/{pid}/fd").glob("*"))
    own = {os.readlink(link).removeprefix("socket:[").removesuffix("]") for link in links if link.is_socket()}
    found = set()
    for name, states in (("tcp", {"0A"}), ("tcp6", {"0A"}), ("udp", {"07"}), ("udp6", {"07"})):
        for fields in map(str.split, Path(f"/proc/net/{name}").read_text().splitlines()[1:]):
            if fields[3] in states and fields[9] in own:
                host, port = fields[1].split(":")
                found.add((readable(bytes.fromhex(host)), int(port, 16)))
    return found


def readable(address: bytes) -> str:
    words = struct.unpack(f"={len(address) // 4}I", address)
    return str(ipaddress.ip_address(struct.pack(f"!{len(words)}I", *words)))
