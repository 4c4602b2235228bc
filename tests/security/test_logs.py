"""Nothing that comes from outside forges a line of a log or colours a terminal, and no failure shows its traceback."""

import http.client
import io
import json
import logging
import os
import re
import socket
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from jobs.log_lines import LineFormatter, escape
from tests.support.migrated import migrated

pytestmark = pytest.mark.threat("T22")
ROOT = Path(__file__).parents[2]
FORGED = "2026-11-29 00:00:00,000 INFO console.web.audit Signed in: root"
HOSTILE = {
    "line end": f"a\n{FORGED}",
    "carriage return": f"a\r{FORGED}",
    "both": f"a\r\n{FORGED}",
    "colour": "\x1b[31mred\x1b[0m",
    "title": "\x1b]0;owned\x07",
    "eight-bit": "\x9b31m",
    "backspace": "root\x08\x08\x08\x08owner",
    "bidi": "abc\u202efed",
    "isolate": "\u2066abc\u2069",
    "other lines": f"a\u2028{FORGED}\u2029{FORGED}\x85{FORGED}\x0b{FORGED}\x0c{FORGED}",
    "nul": "a\x00b",
    "half": "\ud800",
}
PLAIN = "Größe 日本語 👩‍🚀 \t <b>%s</b> C:\\new"
LINE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} [A-Z]+ [\w.]+:? ")
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2028\u2029\u2066-\u2069]")
HANDLERS = """
names = [None, *logging.root.manager.loggerDict]
handlers = [handler for name in names for handler in logging.getLogger(name).handlers]
print(*{type(one.formatter).__name__ for one in handlers if not isinstance(one, logging.NullHandler)})
"""


def written(**record: Any) -> str:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(LineFormatter("%(levelname)s %(name)s %(message)s"))
    handler.handle(logging.makeLogRecord({"levelname": "INFO", "name": "console", "levelno": logging.INFO} | record))
    return stream.getvalue()


@pytest.mark.parametrize("name", sorted(HOSTILE))
@pytest.mark.parametrize("place", ["msg", "args", "name"])
def test_an_event_is_one_line(name, place):
    value = HOSTILE[name]
    record = (
        {"msg": value} if place == "msg" else {"msg": "%s", "args": (value,)} if place == "args" else {"name": value}
    )
    text = written(**record)
    assert (text.count("\n"), text.splitlines() == [text[:-1]], CONTROL.findall(text[:-1])) == (1, True, [])


def test_what_is_harmless_stays_as_it_is():
    assert (written(msg="%s", args=(PLAIN,)), escape(PLAIN)) == (f"INFO console {PLAIN}\n", PLAIN)


def test_what_was_escaped_can_be_read():
    assert escape("a\r\n\x1b[31m\u202e\ud800") == r"a\r\n\x1b[31m\u202e\ud800"


def test_a_traceback_forges_nothing():
    try:
        raise ValueError(f"bad\n{FORGED}\r{FORGED}\x1b[31m")
    except ValueError:
        text = written(msg="It failed", exc_info=sys.exc_info())
    first, *further = text.rstrip("\n").split("\n")
    assert (first, "ValueError: bad" in text) == ("INFO console It failed", True)
    assert [line for line in further if not line.startswith("  | ")] == []
    assert CONTROL.findall(text.replace("\n", "")) == []


PROGRAMS = {
    "web": "import logging, uvicorn; uvicorn.Config('console.asgi:application').load()",
    "worker": "import logging; from console.celery import app; app.log.setup(loglevel='INFO', redirect_stdouts=True)",
    "vertex": "import logging; from jobs.localvertex.program import set_up_logging; set_up_logging()",
}


@pytest.mark.parametrize("program", sorted(PROGRAMS))
def test_every_program_writes_such_lines_only(program, tmp_path):
    environment = os.environ | {"CONSOLE_DATA_DIR": str(tmp_path), "DJANGO_SETTINGS_MODULE": "console.settings"}
    code = PROGRAMS[program] + HANDLERS
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, cwd=ROOT)
    assert (answer.returncode, answer.stdout) == (0, "LineFormatter\n"), answer.stderr


@pytest.mark.parametrize("program", ["web", "worker"])
def test_every_program_of_the_console_writes_json_where_it_is_told_to(program, tmp_path):
    settings = {"CONSOLE_DATA_DIR": str(tmp_path), "DJANGO_SETTINGS_MODULE": "console.settings", "LOG_FORMAT": "json"}
    code = PROGRAMS[program] + HANDLERS
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=os.environ | settings, cwd=ROOT
    )
    assert (answer.returncode, answer.stdout) == (0, "JsonFormatter\n"), answer.stderr


@pytest.fixture(scope="module", params=["text", "json"])
def web(request, tmp_path_factory):
    """The web process alone, the file that it writes its log to, and in which form."""
    data, port = tmp_path_factory.mktemp("logs"), free_port()
    environment = os.environ | {"CONSOLE_DATA_DIR": str(data), "DJANGO_SETTINGS_MODULE": "console.settings"}
    environment["LOG_FORMAT"] = request.param
    migrated.copy_to(data / "console.sqlite3")
    subprocess.run([sys.executable, "manage.py", "migrate", "-v0"], env=environment, cwd=ROOT, check=True)
    log = data / "web.log"
    command = [sys.executable, "-m", "uvicorn", "console.asgi:application", "--port", str(port)]
    with log.open("wb") as file:
        process = subprocess.Popen(command, env=environment, cwd=ROOT, stdout=file, stderr=subprocess.STDOUT)
    wait_for(port, process)
    yield port, log, request.param
    process.terminate()
    process.wait(20)


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def wait_for(port: int, process: "subprocess.Popen[bytes]") -> None:
    for _try in range(600):
        assert process.poll() is None
        try:
            with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=1)) as connection:
                connection.request("GET", "/healthz")
                connection.getresponse().read()
        except OSError:
            process_wait(process)
        else:
            return
    raise AssertionError("It does not answer.")


def process_wait(process: "subprocess.Popen[bytes]") -> None:
    try:
        process.wait(0.1)
    except subprocess.TimeoutExpired:
        return


def said_to(port: int, request: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        return connection.recv(65_536)


BAD = b"\x1b[31m\r2026-11-29 00:00:00,000 INFO forged"
REQUESTS = [
    b"GET /" + BAD + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    b"GET /%1b%5b31m%0d%0a2026-11-29%20forged%e2%80%ae HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: \x1b[31mevil\r\nConnection: close\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: evil.example\r\nUser-Agent: \x1b[31m\r\nConnection: close\r\n\r\n",
    b"G\x1b[31mT / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x1b[31m\n\n",
    b"POST /accounts/sign-in/ HTTP/1.1\r\nHost: 127.0.0.1\r\nReferer: http://127.0.0.1/\x1b[31m\r\n"
    b"Content-Length: 3\r\nContent-Type: application/x-www-form-urlencoded\r\nConnection: close\r\n\r\na=b",
    b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: upgrade\r\nUpgrade: \x1b[31m\r\n\r\n",
    b"GET /streams/live?ticket=%0a%1b HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n",
]


def test_a_real_server_logs_hostile_requests_line_by_line(web):
    port, log, form = web
    for request in REQUESTS:
        said_to(port, request)
    text = log.read_bytes().decode()
    assert len(text.splitlines()) > 5
    assert [line for line in text.split("\n")[:-1] if not is_line(line, form)] == []
    assert (CONTROL.findall(text), "\x1b" in text) == ([], False)


def is_line(line: str, form: str) -> bool:
    if form == "json":
        return json.loads(line).keys() >= {"time", "level", "logger", "message", "process", "pid"}
    return bool(LINE.match(line)) or line.startswith("  | ")


@pytest.mark.django_db
@pytest.mark.parametrize("name", sorted(HOSTILE))
def test_a_failed_sign_in_forges_no_line(client, caplog, name):
    account = HOSTILE[name].encode("utf-8", "surrogatepass")
    body = b"password=x&username=" + b"".join(b"%%%02x" % byte for byte in account)
    client.post("/accounts/sign-in/", body, content_type="application/x-www-form-urlencoded", REMOTE_ADDR="192.0.2.7")
    lines = [written(msg=one.getMessage()) for one in caplog.records if one.name == "console.web.audit"]
    assert [(line.count("\n"), "192.0.2.7" in line, CONTROL.findall(line[:-1])) for line in lines] in (
        [],
        [(1, True, [])],
    )


@pytest.mark.django_db
@pytest.mark.urls("tests.console.views.test_errors")
@pytest.mark.parametrize("headers", [{}, {"HX-Request": "true"}])
def test_a_failure_shows_a_number_and_no_traceback(owner, caplog, headers):
    """The log has the rest, under the same number."""
    client = Client(raise_request_exception=False)
    client.force_login(owner)
    response = client.get("/boom/", headers=headers)
    text = response.content.decode()
    assert [word in text for word in ("Traceback", "RuntimeError", "hunter2", ".py")] == [False] * 4
    number = response["X-Request-ID"]
    assert (number in text, any(number in one.getMessage() for one in caplog.records)) == (True, True)
