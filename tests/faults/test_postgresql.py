"""A console whose PostgreSQL goes away, cuts its connections or only lets itself be read, and comes back."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.headless_client import Visitor
from tests.support.localservers import free_port
from tests.support.running import Running, running

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300), pytest.mark.fault("F20")]
PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
AS_POSTGRES = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
AWAY = "The database does not answer. Try again in a moment."
READ_ONLY = "The database is read-only. Nothing can be saved until it is writable."


class Server:
    def __init__(self, folder: Path) -> None:
        self.data, self.port = folder / "data", free_port()
        self.url = f"postgres://console@127.0.0.1:{self.port}/postgres"
        self.process: subprocess.Popen[bytes] | None = None

    def run(self, program: str, *arguments: str) -> None:
        subprocess.run([*AS_POSTGRES, str(PROGRAMS[-1] / program), *arguments], check=True, stdout=subprocess.DEVNULL)

    def create(self) -> None:
        self.run("initdb", "--pgdata", str(self.data), "--username", "console", "--auth", "trust", "--no-sync")

    def start(self) -> None:
        options = f"-h 127.0.0.1 -p {self.port} -k '' -c fsync=off"
        self.run(
            "pg_ctl", "--pgdata", str(self.data), "--wait", "--log", str(self.data / "log"), "-o", options, "start"
        )

    def stop(self, mode: str) -> None:
        self.run("pg_ctl", "--pgdata", str(self.data), "--wait", "--mode", mode, "stop")

    def say(self, statement: str) -> None:
        self.run("psql", "--quiet", self.url.replace("postgres://", "postgresql://"), "--command", statement)


@pytest.fixture
def server() -> Iterator[Server]:
    if not PROGRAMS:
        pytest.skip("There is no PostgreSQL server on this machine")
    folder = Path(tempfile.mkdtemp(prefix="console-postgresql-"))
    if AS_POSTGRES:
        shutil.chown(folder, "postgres")
    found = Server(folder)
    found.create()
    found.start()
    yield found
    found.stop("immediate")
    shutil.rmtree(folder)


def readyz(person: Visitor) -> int:
    return person.client.get("/readyz/all").status_code


def wait_until_ready(person: Visitor, console: Running) -> None:
    until = time.monotonic() + 60
    while readyz(person) != 200:
        assert time.monotonic() < until, console.output()[-3000:]
        time.sleep(0.5)


def post(person: Visitor, url: str, **values: str) -> tuple[int, str]:
    """With the token that the cookie holds: the page with the form may not open now."""
    headers = {"Origin": str(person.client.base_url).rstrip("/"), "X-CSRFToken": person.client.cookies["csrftoken"]}
    answer = person.client.post(url, data=values, headers=headers)
    return answer.status_code, answer.text


def test_the_pages_say_so_and_everything_goes_on(server: Server, tmp_path: Path) -> None:
    options = {"DATABASE_URL": server.url, "CONSOLE_LOCAL_OPTIONS": "--prepare when-needed"}
    with running(tmp_path / "data", options) as console, Visitor(console.address) as person:
        person.sign_in(console.link)
        wait_until_ready(person, console)
        before = console.pids()
        for mode in ("immediate", "fast"):
            server.stop(mode)
            time.sleep(6)
            for url in ("/", "/tuning/"):
                answer = person.client.get(url)
                assert (answer.status_code, AWAY in answer.text) == (503, True)
            assert person.client.get("/healthz").status_code == 200
            assert readyz(person) == 503
            server.start()
            wait_until_ready(person, console)
            assert person.client.get("/tuning/").status_code == 200
        server.say("ALTER SYSTEM SET default_transaction_read_only = on")
        server.say("SELECT pg_reload_conf()")
        status, page = post(person, "/settings/keys/", single_keys="on")
        assert (status, READ_ONLY in page) == (503, True)
        answer = person.client.get("/tuning/")
        assert (answer.status_code, READ_ONLY in answer.text) == (200, True)
        time.sleep(6)
        server.say("ALTER SYSTEM RESET default_transaction_read_only")
        server.say("SELECT pg_reload_conf()")
        wait_until_ready(person, console)
        assert console.pids() == before
        assert [line for line in console.output().splitlines() if "Traceback" in line] == []
        assert console.stop(signal.SIGINT) == 0
