import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from urllib.parse import urlsplit

import pytest
from google.api_core.exceptions import GoogleAPICallError
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage

from jobs.localvertex.storage.files import open_storage
from jobs.localvertex.storage.server import HEADER_SECONDS, MAX_CONNECTIONS, Server
from tests.support.localservers import storage_emulator


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


def client(address):
    return storage.Client(
        project="p", credentials=AnonymousCredentials(), client_options={"api_endpoint": f"http://{address}"}
    )


@pytest.fixture(scope="module")
def bucket(address):
    return client(address).create_bucket("garden")


@pytest.mark.threat("T12", "T21")
def test_idle_connections_and_half_requests_are_in_nobodys_way(address, bucket):
    host, port = address.split(":")
    with ExitStack() as stack:
        for number in range(MAX_CONNECTIONS + 50):
            connection = stack.enter_context(socket.create_connection((host, int(port))))
            connection.sendall([b"", b"G", b"GET / HTTP/1.1\r\nHost: ", b"GET / HTTP/1.1\r\n"][number % 4])
        began = time.monotonic()
        bucket.blob("a").upload_from_string(b"text")
        assert bucket.blob("a").download_as_bytes() == b"text"
        assert time.monotonic() - began < 5


@pytest.mark.threat("T12")
def test_what_is_never_finished_is_cut_off(address, bucket):
    host, port = address.split(":")
    with socket.create_connection((host, int(port)), timeout=HEADER_SECONDS + 10) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\n")
        assert connection.recv(1) == b""


def test_uploads_at_once_are_all_there(address, bucket):
    def upload(thread):
        own = client(address).bucket("garden")
        for number in range(20):
            own.blob(f"many/{thread}-{number}").upload_from_string(f"{thread}.{number}")

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(upload, range(8)))
    found = {blob.name: blob.download_as_text() for blob in bucket.list_blobs(prefix="many/")}
    assert found == {f"many/{thread}-{number}": f"{thread}.{number}" for thread in range(8) for number in range(20)}


def test_half_an_upload_is_no_object(address, bucket):
    host, port = address.split(":")
    for rest in ("Content-Length: 9\n", "Transfer-Encoding: chunked\n"):
        head = f"POST /upload/storage/v1/b/garden/o?uploadType=media&name=half HTTP/1.1\nHost: {address}\n{rest}\n"
        with socket.create_connection((host, int(port)), timeout=10) as connection:
            connection.sendall(head.replace("\n", "\r\n").encode() + b"2\r\nab\r\n")
            connection.shutdown(socket.SHUT_WR)
            assert connection.recv(65536).startswith(b"HTTP/1.0 400")
    assert not bucket.blob("half").exists()


def test_all_that_googles_client_does(bucket):
    big = bucket.blob("big", chunk_size=256 * 1024)
    big.upload_from_string(b"x" * 600_000)
    bucket.blob("part").upload_from_string(b"y")
    bucket.blob("both").compose([big, bucket.blob("part")])
    bucket.copy_blob(bucket.blob("both"), bucket, "copy")
    assert bucket.blob("both").rewrite(bucket.blob("part"))[1:] == (1, 1)
    with bucket.client.batch():
        bucket.blob("big").delete()
        bucket.blob("part").delete()
    names = {blob.name for blob in bucket.list_blobs()} & {"big", "part", "both", "copy"}
    assert (names, bucket.blob("copy").download_as_bytes(start=599_999)) == ({"both", "copy"}, b"xy")


@pytest.mark.parametrize(("name", "status"), [("a/" + "b" * 300, 400), ("taken/below", 400), ("../outside", 400)])
def test_names_that_a_disk_cannot_hold(address, bucket, name, status):
    bucket.blob("taken").upload_from_string(b"")
    with pytest.raises(GoogleAPICallError) as refused:
        bucket.blob(name).upload_from_string(b"x")
    assert refused.value.code == status


def test_who_asks_whether_it_is_alive_does_not_wait_for_what_is_being_written(tmp_path):
    """Gigabytes take longer than a supervisor waits before it starts a server again that does not answer."""
    opened = open_storage(tmp_path, "garden")
    server = Server(opened, "127.0.0.1", 0)
    with ThreadPoolExecutor(1) as many:
        many.submit(server.serve_forever)
        try:
            with opened.lock:
                place = f"127.0.0.1:{server.server_address[1]}"
                assert status(ask(place, f"GET /storage/v1/b/garden HTTP/1.1\nHost: {place}\nConnection: close")) == 200
                assert status(ask(place, f"GET /storage/v1/b/none HTTP/1.1\nHost: {place}\nConnection: close")) == 404
        finally:
            server.shutdown()
            server.server_close()
