import os
import signal
import socket
import subprocess
import sys

import httpx
import pytest

from jobs.localvertex.api import peers
from jobs.localvertex.api.peers import OTHER_USER, why_not_connect

ASKS = "exec 3<>/dev/tcp/127.0.0.1/$0 && read -r -t 10 -u 3"
BY_IPV6 = """import socket, sys
client = socket.socket(socket.AF_INET6)
client.connect(("::ffff:127.0.0.1", int(sys.argv[1])))
client.recv(1)"""
NOBODY = 65534


@pytest.mark.parametrize(("family", "host"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
def test_own_programs_connect(family, host):
    with (
        socket.create_server((host, 0), family=family) as server,
        socket.create_connection(server.getsockname()[:2]),
        server.accept()[0] as accepted,
    ):
        assert why_not_connect(accepted) == ""


def test_by_a_socket_of_the_other_family():
    with socket.create_server(("127.0.0.1", 0)) as server:
        command = [sys.executable, "-c", BY_IPV6, str(server.getsockname()[1])]
        with subprocess.Popen(command), server.accept()[0] as accepted:
            assert why_not_connect(accepted) == ""


@pytest.mark.threat("T21")
@pytest.mark.skipif(os.getuid() != 0, reason="only root can be somebody else")
def test_other_users_do_not():
    with socket.create_server(("127.0.0.1", 0)) as server:
        command = ["bash", "-c", ASKS, str(server.getsockname()[1])]
        with subprocess.Popen(command, user=NOBODY, extra_groups=[], cwd="/"), server.accept()[0] as accepted:
            assert why_not_connect(accepted) == OTHER_USER


@pytest.mark.threat("T21")
def test_who_left_is_nobody():
    """The system lists the end of a closed connection as root's."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(server.getsockname()).close()
        with server.accept()[0] as accepted:
            assert why_not_connect(accepted) == OTHER_USER


def test_where_the_system_does_not_tell(tmp_path):
    with pytest.raises(peers.CannotTell):
        peers.read_list(("127.0.0.1", 5), ("127.0.0.1", 80), lists=(tmp_path / "tcp",))


def test_both_ways_to_ask_tell_the_same():
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as client,
        server.accept()[0],
    ):
        ends = client.getsockname(), client.getpeername()
        assert peers.ask_kernel(*ends) == peers.read_list(*ends) == os.getuid()
        assert peers.ask_kernel(server.getsockname(), ("127.0.0.1", 9)) is None


@pytest.mark.threat("T21")
def test_who_left_while_the_server_stood_still_is_kept_from_it(own_server):
    """An answer to who has left breaks the connection, whose end can't be said then."""
    server = own_server.start()
    os.kill(server.process.pid, signal.SIGSTOP)
    for _ in range(4):
        with socket.create_connection(("127.0.0.1", server.port)) as client:
            client.sendall(f"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n\r\n".encode())
    os.kill(server.process.pid, signal.SIGCONT)
    assert httpx.get(f"{server.url}/healthz", timeout=20, trust_env=False).status_code == 200
    assert "Traceback" not in server.log()
