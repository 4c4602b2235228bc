"""A stand-in for Google's host: a proxy on this machine that ends the TLS of whoever asks for it, and hands the bytes
to the local server. Unmodified programs find it by the variables by which they find every proxy."""

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

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

HOST = "us-central1-aiplatform.googleapis.com"
HOSTS = (HOST, "aiplatform.googleapis.com", "oauth2.googleapis.com")
TOKEN = "a-token"  # noqa: S105  # nobody takes it for one
A_TOKEN = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: application/json\r\n\r\n" + json.dumps(
    {"access_token": TOKEN, "expires_in": 3600, "token_type": "Bearer"}
)
ACCOUNT = "someone@garden-local.iam.gserviceaccount.com"


@dataclass
class GoogleHost:
    """`environment` is what a program needs to come here; `heads` are the requests that did, without their bodies."""

    folder: Path
    upstream: tuple[str, int]
    environment: dict[str, str] = field(default_factory=dict)
    heads: list[str] = field(default_factory=list)

    def serve(self, client: socket.socket, tls: ssl.SSLContext) -> None:
        with suppress(OSError), client:
            head = _head(client)
            if not head.startswith("CONNECT"):
                client.sendall(A_TOKEN.encode())
                # Closed with something unread, a connection is reset, and the token may be lost.
                client.shutdown(socket.SHUT_WR)
                while client.recv(65536):
                    pass
                return
            client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            with tls.wrap_socket(client, server_side=True) as inside, socket.create_connection(self.upstream) as out:
                first = _head(inside)
                self.heads.append(first)
                out.sendall(first.encode("latin-1"))
                _relay(inside, out)


@contextmanager
def google_host(folder: Path, address: str) -> Iterator[GoogleHost]:
    """`address`: of the local server, as for VERTEX_API_ENDPOINT."""
    folder.mkdir()
    host, port = address.removeprefix("http://").split(":")
    started = GoogleHost(folder, (host, int(port)))
    key, certificate = _key(), folder / "host.pem"
    certificate.write_bytes(self_signed(key) + _pem(key))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate)
    with socket.create_server(("127.0.0.1", 0)) as server:
        started.environment = _environment(folder, server.getsockname()[1], certificate, key)
        accepting = threading.Thread(target=_accept, args=(server, started, tls), daemon=True)
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
        accepting = threading.Thread(target=_accept, args=(server, _InFront(upstream), tls), daemon=True)
        accepting.start()
        try:
            yield server.getsockname()[1]
        finally:
            server.shutdown(socket.SHUT_RDWR)
            accepting.join()


@dataclass
class _InFront:
    upstream: tuple[str, int]

    def serve(self, client: socket.socket, tls: ssl.SSLContext) -> None:
        with (
            suppress(OSError),
            client,
            tls.wrap_socket(client, server_side=True) as inside,
            socket.create_connection(self.upstream) as out,
        ):
            _relay(inside, out)


def _accept(server: socket.socket, host: GoogleHost | _InFront, tls: ssl.SSLContext) -> None:
    with suppress(OSError):
        while True:
            client, _address = server.accept()
            threading.Thread(target=host.serve, args=(client, tls), daemon=True).start()


def _head(client: socket.socket) -> str:
    """What came until a blank line was there, and whatever came with it."""
    data = b""
    while b"\r\n\r\n" not in data and (part := client.recv(65536)):
        data += part
    return data.decode("latin-1")


def _relay(inside: ssl.SSLSocket, out: socket.socket) -> None:
    while True:
        for source in [inside] if inside.pending() else select.select([inside, out], [], [])[0]:
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


def certificate_of(hosts: tuple[str, ...]) -> bytes:
    """A new one with its key."""
    key = _key()
    return self_signed(key, hosts) + _pem(key)


def self_signed(key: rsa.RSAPrivateKey, hosts: tuple[str, ...] = HOSTS) -> bytes:
    """Signed by itself, and so its own authority."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
    now = datetime.datetime.now(datetime.UTC)
    made = x509.CertificateBuilder(
        issuer_name=name, subject_name=name, public_key=key.public_key(), serial_number=x509.random_serial_number(),
        not_valid_before=now - datetime.timedelta(hours=1), not_valid_after=now + datetime.timedelta(hours=1),
    )  # fmt: skip
    made = made.add_extension(x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts]), critical=False)
    made = made.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    return made.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)
