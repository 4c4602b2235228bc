"""gcp-storage-emulator's answers behind a server that waits for nobody: a thread and a deadline for each connection."""

import errno
import io
import json
import logging
import re
import socket
import time
from collections.abc import Iterable
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from socketserver import ThreadingTCPServer
from typing import Any

from gcp_storage_emulator import server

from jobs.localvertex.api import callers
from jobs.localvertex.api.peers import why_not_connect
from jobs.localvertex.storage.bodies import BadBody, read_body
from jobs.localvertex.storage.files import FULL, Storage

log = logging.getLogger(__name__)
MAX_CONNECTIONS = 256
HEADER_SECONDS, PATIENCE_SECONDS, LONGEST_BODY_SECONDS = 10.0, 60.0, 900.0
SLOWEST_BYTES_PER_SECOND = 256 * 1024
LOOK_SECONDS = 0.5
UNREAD_BYTES = 1024 * 1024
NAME_TROUBLE = frozenset({errno.ENAMETOOLONG, errno.ENOTDIR, errno.EISDIR, errno.EINVAL, errno.EEXIST})
EMPTIES_ALL = "/wipe"
# Whoever asks whether this server is alive asks so, and is not to wait for gigabytes that are being written.
ONE_BUCKET = re.compile(r"/storage/v1/b/[^/?#]+")

server.HANDLERS = tuple((path, calls) for path, calls in server.HANDLERS if EMPTIES_ALL not in path)
for talkative in ("gcp_storage_emulator", "api"):
    logging.getLogger(talkative).setLevel(logging.CRITICAL)


class Server(ThreadingTCPServer):
    """A connection that doesn't keep its deadline is closed. The one that has waited longest makes room for another."""

    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, storage: Storage, host: str, port: int, allowed: Iterable[str] = ()) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._until: dict[Any, float] = {}
        self._silent: dict[Any, None] = {}
        super().__init__((host, port), partial(Handler, storage))
        self.hosts = callers.hosts(host, self.server_address[1], allowed)

    def process_request(self, request: Any, client_address: Any) -> None:
        if len(self._until) >= MAX_CONNECTIONS:
            _cut([*self._silent, request][0])
        self._silent[request] = None
        self.allow(request, HEADER_SECONDS)
        super().process_request(request, client_address)

    def allow(self, request: Any, seconds: float) -> None:
        self._until[request] = time.monotonic() + seconds

    def has_spoken(self, request: Any) -> None:
        self._silent.pop(request, None)

    def service_actions(self) -> None:
        now = time.monotonic()
        for request, until in list(self._until.items()):
            if until < now:
                _cut(request)

    def shutdown_request(self, request: Any) -> None:
        self.has_spoken(request)
        self._until.pop(request, None)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        log.debug("a connection ended", exc_info=True)

    def serve_forever(self, poll_interval: float = LOOK_SECONDS) -> None:
        super().serve_forever(poll_interval)


class Handler(server.RequestHandler):  # type: ignore[misc]
    """The package's handler reads from a connection and writes to it at every step; here it works on what was read as
    a whole, and the lock is never held for a client."""

    server: Server
    rfile: Any
    wfile: Any

    def handle(self) -> None:
        if why := why_not_connect(self.connection):
            self.requestline, self.request_version = "", self.protocol_version
            self._refuse(HTTPStatus.FORBIDDEN, why)
        else:
            super().handle()

    def parse_request(self) -> bool:
        if not super().parse_request():
            return False
        self.server.has_spoken(self.connection)
        target = self.requestline.split()[1]
        if why := callers.why_not_answer(target, self.headers.items(), self.server.hosts):
            self._refuse(HTTPStatus.FORBIDDEN, why)
        return not why

    def do_GET(self) -> None:
        self._answer()

    do_POST = do_PUT = do_PATCH = do_DELETE = do_GET

    def _answer(self) -> None:
        try:
            self.server.allow(self.connection, _patience(self.headers.get("Content-Length", "")))
            answer = self._work(read_body(self.rfile, self.headers))
        except BadBody as error:
            self._refuse(HTTPStatus.BAD_REQUEST, str(error))
        except OSError as error:
            self._refuse(*_trouble(error))
        except Exception as error:
            log.exception("%s %s failed", self.command, self.path)
            self._refuse(HTTPStatus.BAD_REQUEST, f"This request is not understood: {error!r:.200}")
        else:
            self._send(answer)

    def _work(self, body: bytes) -> bytes:
        del self.headers["Transfer-Encoding"], self.headers["Content-Length"]
        self.headers["Content-Length"] = str(len(body))
        connection, answer = self.wfile, io.BytesIO()
        self.rfile, self.wfile = io.BytesIO(body), answer
        try:
            if self.command == "GET" and ONE_BUCKET.fullmatch(self.path):
                server.Router(self).handle(self.command)
            else:
                self._change()
        finally:
            self.wfile = connection
        return answer.getvalue()

    def _change(self) -> None:
        with self.storage.change():
            self.storage.is_read_in_parts = self.command == "GET" and "Range" in self.headers
            server.Router(self).handle(self.command)

    def _refuse(self, status: HTTPStatus, why: str) -> None:
        content = json.dumps({"error": {"code": status.value, "message": why}}).encode()
        self.close_connection = True
        self._headers_buffer: list[bytes] = []
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Connection", "close")
        self.end_headers()
        self._send(content)
        self._drain()

    def _send(self, content: bytes) -> None:
        self.server.allow(self.connection, _patience(str(len(content))))
        self.wfile.write(content)

    def _drain(self) -> None:
        """Closed with something unread, a connection is reset, and the refusal may be lost."""
        self.server.allow(self.connection, HEADER_SECONDS)
        left = UNREAD_BYTES
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_WR)
            while left > 0 and (part := self.connection.recv(65536)):
                left -= len(part)

    def version_string(self) -> str:
        return "gs"

    def log_message(self, format: str, *args: Any) -> None:
        log.debug(format, *args)


def _patience(length: str) -> float:
    if not length.isdecimal():
        return LONGEST_BODY_SECONDS
    return PATIENCE_SECONDS + int(length) / SLOWEST_BYTES_PER_SECOND


def _trouble(error: OSError) -> tuple[HTTPStatus, str]:
    if error.errno in FULL:
        return HTTPStatus.INSUFFICIENT_STORAGE, "The disk that holds gs:// is full. Nothing was changed."
    if error.errno in NAME_TROUBLE:
        return HTTPStatus.BAD_REQUEST, "A file system cannot hold an object of this name beside the others."
    log.error("gs:// cannot be written: %s", error)
    return HTTPStatus.INTERNAL_SERVER_ERROR, f"The disk that holds gs:// does not work: {error.strerror}."


def _cut(request: Any) -> None:
    with suppress(OSError):
        request.shutdown(socket.SHUT_RDWR)
