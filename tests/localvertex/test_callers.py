import os
import socket
import subprocess
import sys

import pytest

from jobs.localvertex import callers

KNOWN = callers.hosts("127.0.0.1", 8085, ["Vertex", "us-central1-aiplatform.googleapis.com"])
ASKS = "exec 3<>/dev/tcp/127.0.0.1/$0 && read -r -t 10 -u 3"
BY_IPV6 = """import socket, sys
client = socket.socket(socket.AF_INET6)
client.connect(("::ffff:127.0.0.1", int(sys.argv[1])))
client.recv(1)"""
NOBODY = 65534


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1:8085", "localhost:8085", "LOCALHOST:8085", "[::1]:8085", "1.us-7.prediction.localhost:8085",
        "vertex:8085", "vertex", "us-central1-aiplatform.googleapis.com",
    ],
)  # fmt: skip
def test_known_by(host):
    assert callers.why_not_answer("/v1/x", [("Host", host), ("Accept", "*/*")], KNOWN) == ""


@pytest.mark.threat("T4")
@pytest.mark.parametrize(
    "host",
    ["evil.example:8085", "127.0.0.1", "127.0.0.1:80", "localhost:80",
     "localhost.evil.example:8085", "0.0.0.0:8085", "", "[::1",
     "127.0.0.1:8085:8085", "localhost@evil.example:8085", "notlocalhost:8085", "2130706433:8085"],
)  # fmt: skip
def test_not_known_by(host):
    assert callers.why_not_answer("/v1/x", [("host", host)], KNOWN).startswith("This server is not known as")


@pytest.mark.threat("T4")
@pytest.mark.parametrize(
    "header",
    [
        "Origin",
        "origin",
        "Referer",
        "Sec-Fetch-Site",
        "Sec-WebSocket-Key",
        "Sec-CH-UA",
        "Access-Control-Request-Method",
    ],
)
def test_pages_are_refused(header):
    assert callers.why_not_answer("/", [("Host", "127.0.0.1:8085"), (header, "")], KNOWN) == callers.NO_PAGES


@pytest.mark.threat("T4")
@pytest.mark.parametrize(
    ("target", "hosts"),
    [
        ("http://127.0.0.1:8085/", ["127.0.0.1:8085"]),
        ("*", ["127.0.0.1:8085"]),
        ("/", []),
        ("/", ["localhost:8085"] * 2),
    ],
)
def test_one_host_and_one_path(target, hosts):
    assert "one Host header" in callers.why_not_answer(target, [("Host", host) for host in hosts], KNOWN)


def test_an_address_that_is_listened_on_is_known():
    assert callers.hosts("192.168.7.7", 80, []).why_not("192.168.7.7") == ""
    assert callers.hosts("0.0.0.0", 80, []).why_not("0.0.0.0") != ""


@pytest.mark.parametrize(("family", "host"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
def test_own_programs_connect(family, host):
    with (
        socket.create_server((host, 0), family=family) as server,
        socket.create_connection(server.getsockname()[:2]),
        server.accept()[0] as accepted,
    ):
        assert callers.why_not_connect(*callers.ends(accepted)) == ""


def test_by_a_socket_of_the_other_family():
    with socket.create_server(("127.0.0.1", 0)) as server:
        command = [sys.executable, "-c", BY_IPV6, str(server.getsockname()[1])]
        with subprocess.Popen(command), server.accept()[0] as accepted:
            assert callers.why_not_connect(*callers.ends(accepted)) == ""


@pytest.mark.threat("T21")
@pytest.mark.skipif(os.getuid() != 0, reason="only root can be somebody else")
def test_other_users_do_not():
    with socket.create_server(("127.0.0.1", 0)) as server:
        command = ["bash", "-c", ASKS, str(server.getsockname()[1])]
        with subprocess.Popen(command, user=NOBODY, extra_groups=[], cwd="/"), server.accept()[0] as accepted:
            assert callers.why_not_connect(*callers.ends(accepted)) == callers.OTHER_USER


@pytest.mark.threat("T21")
def test_who_left_is_nobody():
    """The system lists the end of a closed connection as root's."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(server.getsockname()).close()
        with server.accept()[0] as accepted:
            assert callers.why_not_connect(*callers.ends(accepted)) == callers.OTHER_USER


def test_not_asked_beyond_loopback():
    assert callers.why_not_connect(("192.0.2.1", 5), ("192.0.2.2", 80)) == ""


def test_where_the_system_does_not_tell(monkeypatch, tmp_path):
    monkeypatch.setattr(callers, "CONNECTIONS", (tmp_path / "tcp",))
    assert callers.why_not_connect(("127.0.0.1", 5), ("127.0.0.1", 80)) == ""
