import socket
from urllib.parse import urlsplit

import pytest

from tests.localservers import storage_emulator


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    with storage_emulator(tmp_path_factory.mktemp("storage")) as started:
        yield urlsplit(started).netloc


def ask(address, head, body=b""):
    host, port = address.split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(head.replace("\n", "\r\n").encode() + b"\r\n\r\n" + body)
        answer = b""
        while part := connection.recv(65536):
            answer += part
    return answer.decode()


def status(answer):
    return int(answer.split()[1])


@pytest.mark.threat("T4")
def test_nothing_empties_it(address):
    assert status(ask(address, f"GET /wipe HTTP/1.1\nHost: {address}")) == 501


@pytest.mark.threat("T4")
@pytest.mark.parametrize("more", ["Origin: null", "Sec-Fetch-Site: none", "Upgrade: websocket\nSec-WebSocket-Key: a"])
def test_a_page_is_refused_before_its_body(address, more):
    head = f"POST /upload/storage/v1/b/x/o?uploadType=media&name=a HTTP/1.1\nHost: {address}\n{more}\nContent-Length: 9"
    answer = ask(address, head)
    assert status(answer) == 403
    assert "Connection: close" in answer
    assert "Access-Control" not in answer


@pytest.mark.threat("T4")
def test_a_strange_host_is_refused(address):
    assert status(ask(address, "GET /storage/v1/b HTTP/1.1\nHost: evil.example:9023")) == 403
