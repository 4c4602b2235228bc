import socket

import httpx
import pytest

from tests.conftest import NetworkUsed


def test_a_connection_to_another_machine_is_refused():
    with socket.socket() as probe, pytest.raises(NetworkUsed):
        probe.connect(("192.0.2.1", 80))


def test_a_name_is_not_looked_up():
    with pytest.raises(NetworkUsed):
        httpx.get("http://vertex.example/", trust_env=False)


def test_loopback_is_open():
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        assert client.getpeername() == server.getsockname()
