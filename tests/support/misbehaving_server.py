"""A server on loopback that misbehaves as a test says, and remembers every request that reached it."""

import json
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

Behaviour = Callable[[socket.socket], None]


@dataclass
class Received:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class BadServer:
    """`behave` answers each request; it is given the connection and may do anything with it."""

    behave: Behaviour
    requests: list[Received] = field(default_factory=list)
    address: str = ""
    stopping: threading.Event = field(default_factory=threading.Event)

    def posts(self) -> list[str]:
        return [request.path.partition("?")[0] for request in self.requests if request.method == "POST"]

    def serve(self, listener: socket.socket) -> None:
        while not self.stopping.is_set():
            with suppress(TimeoutError):
                connection, _peer = listener.accept()
                threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            while received := _read(connection):
                self.requests.append(received)
                self.behave(connection)


@contextmanager
def bad_server(behave: Behaviour) -> Iterator[BadServer]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.05)
        server = BadServer(behave, address=f"http://127.0.0.1:{listener.getsockname()[1]}")
        thread = threading.Thread(target=server.serve, args=(listener,))
        thread.start()
        try:
            yield server
        finally:
            server.stopping.set()
            thread.join()


def answer(status: int, body: Any = "", *headers: str) -> Behaviour:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()

    def behave(connection: socket.socket) -> None:
        head = [f"HTTP/1.1 {status} X", f"Content-Length: {len(content)}", "Content-Type: application/json", *headers]
        connection.sendall("\r\n".join([*head, "", ""]).encode() + content)

    return behave


def error(status: int, word: str, message: str = "no") -> Behaviour:
    return answer(status, {"error": {"code": status, "status": word, "message": message}})


def drop(connection: socket.socket) -> None:
    connection.shutdown(socket.SHUT_RDWR)


def reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def begin(connection: socket.socket, status: bytes = b"200 OK") -> None:
    connection.sendall(b'HTTP/1.1 %s\r\nContent-Length: 1000\r\n\r\n{"name": "pro' % status)


def truncate(connection: socket.socket) -> None:
    begin(connection)
    connection.shutdown(socket.SHUT_RDWR)


def stall(connection: socket.socket) -> None:
    begin(connection)
    hang(connection)


def hang(connection: socket.socket) -> None:
    connection.settimeout(30)
    with suppress(OSError):
        connection.recv(1)


def _read(connection: socket.socket) -> Received | None:
    data = b""
    while b"\r\n\r\n" not in data:
        part = connection.recv(65536)
        if not part:
            return None
        data += part
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {key.lower(): value for key, _, value in (line.partition(": ") for line in lines)}
    while len(body) < int(headers.get("content-length", 0)):
        body += connection.recv(65536)
    method, path, _version = first.split(" ")
    return Received(method, path, headers, body)
