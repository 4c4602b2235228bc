"""A stand-in for Google's hosts: a proxy on this machine that ends the TLS of whoever asks for one, and hands the bytes
to the local server, or to the storage. Unmodified programs find it by the variables by which they find every proxy."""

import datetime
import json
import os
import select
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

HOST = "us-central1-aiplatform.googleapis.com"
STORAGE = "storage.googleapis.com"
DOMAINS = (".googleapis.com", ".prediction.vertexai.goog")
TOKEN = "a-token"  # noqa: S105  # nobody takes it for one


def _write(code: int, reason: str, body: dict[str, Any]) -> str:
    text = json.dumps(body)
    head = f"HTTP/1.1 {code} {reason}\r\nConnection: close\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(text)}\r\n\r\n{text}"


A_TOKEN = _write(200, "OK", {"access_token": TOKEN, "expires_in": 3600, "token_type": "Bearer"})
NO_TOKEN = _write(
    400, "Bad Request", {"error": "invalid_grant", "error_description": "Token has been expired or revoked."}
)
EXPIRED = {
    "code": 401,
    "message": "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other"
    " valid authentication credential.",
    "status": "UNAUTHENTICATED",
}
ACCOUNT = "someone@garden-local.iam.gserviceaccount.com"


@dataclass
class GoogleHost:
    """`environment` is what a program needs to come here; `heads` are the first requests of the connections that did,
    without their bodies, and `hosts` whom these were for. `storage`: who answers for that of Google."""

    folder: Path
    upstream: tuple[str, int]
    storage: tuple[str, int]
    key: rsa.RSAPrivateKey
    environment: dict[str, str] = field(default_factory=dict)
    heads: list[str] = field(default_factory=list)
    hosts: list[str] = field(default_factory=list)
    is_expired: bool = False
    _contexts: dict[str, ssl.SSLContext] = field(default_factory=dict)
    _open: set[ssl.SSLSocket] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def expire(self) -> None:
        """The sign-in ends: no token is taken any more, nor given."""
        with self._lock:
            self.is_expired = True
            for connection in self._open:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def renew(self) -> None:
        self.is_expired = False

    def serve(self, client: socket.socket) -> None:
        with suppress(OSError), client:
            head = _head(client)
            if f" http://{STORAGE}/" in head.partition("\r\n")[0]:
                self._hand_on_plainly(client, head)
                return
            if not head.startswith("CONNECT"):
                _answer(client, NO_TOKEN if self.is_expired else A_TOKEN)
                return
            host = head.split()[1].rpartition(":")[0]
            if not host.endswith(DOMAINS):
                _answer(client, "HTTP/1.1 403 Forbidden\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
                return
            client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            with self._context(host).wrap_socket(client, server_side=True) as inside:
                self._hand_on(inside, host)

    def _hand_on_plainly(self, client: socket.socket, head: str) -> None:
        """The storage emulator's links to files have no TLS."""
        with socket.create_connection(self.storage) as out:
            out.sendall(head.replace(f"http://{STORAGE}", "", 1).encode("latin-1"))
            _relay(client, out)

    def _hand_on(self, inside: ssl.SSLSocket, host: str) -> None:
        with self._lock:
            self._open.add(inside)
        try:
            first = _head(inside)
            self.heads.append(first)
            self.hosts.append(host)
            if self.is_expired:
                _answer(inside, _write(401, "Unauthorized", {"error": EXPIRED}))
                return
            with socket.create_connection(self.storage if host == STORAGE else self.upstream) as out:
                out.sendall(first.encode("latin-1"))
                _relay(inside, out)
        finally:
            with self._lock:
                self._open.discard(inside)

    def _context(self, host: str) -> ssl.SSLContext:
        """With a certificate for this host."""
        with self._lock:
            if host not in self._contexts:
                path = self.folder / f"{host[:60]}.pem"
                path.write_bytes(_certify(self.key, host) + _pem(self.key))
                self._contexts[host] = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                self._contexts[host].load_cert_chain(path)
            return self._contexts[host]


@contextmanager
def google_host(folder: Path, address: str, storage: str = "") -> Iterator[GoogleHost]:
    """`address`: of the local server, as for VERTEX_API_ENDPOINT; `storage`: as for STORAGE_EMULATOR_HOST."""
    folder.mkdir()
    key = _key()
    started = GoogleHost(folder, _place(address), _place(storage or address), key)
    (folder / "host.pem").write_bytes(self_signed(key))
    with socket.create_server(("127.0.0.1", 0)) as server:
        started.environment = _environment(folder, server.getsockname()[1], folder / "host.pem", key)
        accepting = threading.Thread(target=_accept, args=(server, started), daemon=True)
        accepting.start()
        try:
            yield started
        finally:
            # Closed while it waits, it would go on with whatever gets the same descriptor next.
            server.shutdown(socket.SHUT_RDWR)
            accepting.join()


@contextmanager
def tls_in_front(certificate: Path, upstream: tuple[str, int]) -> Iterator[int]:
    """A port that ends TLS with `certificate` (and its key), agrees on HTTP/2, and hands the bytes to `upstream`."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate)
    tls.set_alpn_protocols(["h2"])
    with socket.create_server(("127.0.0.1", 0)) as server:
        accepting = threading.Thread(target=_accept, args=(server, _InFront(upstream, tls)), daemon=True)
        accepting.start()
        try:
            yield server.getsockname()[1]
        finally:
            server.shutdown(socket.SHUT_RDWR)
            accepting.join()


@dataclass
class _InFront:
    upstream: tuple[str, int]
    tls: ssl.SSLContext

    def serve(self, client: socket.socket) -> None:
        with (
            suppress(OSError),
            client,
            self.tls.wrap_socket(client, server_side=True) as inside,
            socket.create_connection(self.upstream) as out,
        ):
            _relay(inside, out)


def _place(address: str) -> tuple[str, int]:
    host, port = address.removeprefix("http://").split(":")
    return host, int(port)


def _answer(client: socket.socket, text: str) -> None:
    """Closed with something unread, a connection is reset, and the answer may be lost."""
    client.sendall(text.encode())
    client.shutdown(socket.SHUT_WR)
    while client.recv(65536):
        pass


def _accept(server: socket.socket, host: GoogleHost | _InFront) -> None:
    with suppress(OSError):
        while True:
            client, _address = server.accept()
            threading.Thread(target=host.serve, args=(client,), daemon=True).start()


def _head(client: socket.socket) -> str:
    """What came until a blank line was there, and whatever came with it."""
    data = b""
    while b"\r\n\r\n" not in data and (part := client.recv(65536)):
        data += part
    return data.decode("latin-1")


def _relay(inside: socket.socket, out: socket.socket) -> None:
    while True:
        is_pending = isinstance(inside, ssl.SSLSocket) and inside.pending()
        for source in [inside] if is_pending else select.select([inside, out], [], [])[0]:
            part = source.recv(65536)
            if not part:
                return
            (out if source is inside else inside).sendall(part)


def _environment(folder: Path, port: int, certificate: Path, key: rsa.RSAPrivateKey) -> dict[str, str]:
    """The programs' usual variables, an account whose tokens come from here, and a `gcloud` that knows one command."""
    account = {
        "type": "service_account", "client_email": ACCOUNT, "private_key": _pem(key).decode(), "private_key_id": "1",
        "token_uri": f"http://127.0.0.1:{port}/token", "project_id": "garden-local",
    }  # fmt: skip
    (folder / "account.json").write_text(json.dumps(account))
    gcloud = folder / "gcloud"
    gcloud.write_text(f"#!/bin/sh\necho {TOKEN}\n")
    gcloud.chmod(0o755)
    trusted = ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS")
    proxy = dict.fromkeys(("HTTPS_PROXY", "https_proxy"), f"http://127.0.0.1:{port}")
    return {
        **proxy, **dict.fromkeys(trusted, str(certificate)), "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1",
        "GOOGLE_APPLICATION_CREDENTIALS": str(folder / "account.json"), "PATH": f"{folder}:{os.environ['PATH']}",
    }  # fmt: skip


def _key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def _pem(key: rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def certificate_of(host: str) -> bytes:
    """A new one with its key, and its own authority."""
    key = _key()
    return _certify(key, host, is_authority=True) + _pem(key)


def self_signed(key: rsa.RSAPrivateKey) -> bytes:
    """Signed by itself, and so its own authority."""
    return _certify(key, HOST, is_authority=True)


def _certify(key: rsa.RSAPrivateKey, host: str, *, is_authority: bool = False) -> bytes:
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "An authority of a test")])
    name = issuer if is_authority else x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host[-64:])])
    now = datetime.datetime.now(datetime.UTC)
    made = x509.CertificateBuilder(
        issuer_name=issuer, subject_name=name, public_key=key.public_key(), serial_number=x509.random_serial_number(),
        not_valid_before=now - datetime.timedelta(hours=1), not_valid_after=now + datetime.timedelta(hours=1),
    )  # fmt: skip
    made = made.add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
    made = made.add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
    return made.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)
