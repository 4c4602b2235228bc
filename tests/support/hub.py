"""Hugging Face on loopback: what `huggingface_hub` asks of it, with repositories that misbehave as a test wants it."""

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

PIECE = 64 * 1024
LARGE = (".safetensors", ".gguf", ".bin")
_INFO = re.compile(r"/api/models/(?P<name>[^/]+/[^/]+)(?:/revision/(?P<revision>[^?]+))?")
_FILE = re.compile(r"/(?P<name>[^/]+/[^/]+)/resolve/(?P<revision>[^/]+)/(?P<file>.+)")


@dataclass
class HubRepository:
    """`tokens`: those that may read it; of a gated one anybody sees the list. `sizes` and `sums`: said of files instead
    of the truth. `cuts`: after how many bytes of a file the connection ends, each once. `held`: a file's second half is
    sent when the event is set."""

    name: str
    files: dict[str, bytes]
    card: dict[str, Any] = field(default_factory=dict)
    gated: str | bool = False
    private: bool = False
    tokens: tuple[str, ...] = ()
    revisions: tuple[str, ...] = ("main",)
    sizes: dict[str, int] = field(default_factory=dict)
    sums: dict[str, str] = field(default_factory=dict)
    cuts: dict[str, list[int]] = field(default_factory=dict)
    held: dict[str, threading.Event] = field(default_factory=dict)
    takes_ranges: bool = True
    parameters: object = 0
    status: int = 0

    @property
    def sha(self) -> str:
        return hashlib.sha1(repr(sorted(self.files.items())).encode()).hexdigest()

    def describe(self) -> dict[str, Any]:
        return {
            "id": self.name, "sha": self.sha, "private": self.private, "gated": self.gated, "tags": [], "downloads": 1,
            "cardData": self.card, "siblings": [self._sibling(name) for name in sorted(self.files)],
            "safetensors": {"parameters": {}, "total": self.parameters},
        }  # fmt: skip

    def _sibling(self, name: str) -> dict[str, Any]:
        content = self.files[name]
        size = self.sizes.get(name, len(content))
        blob = self.sums.get(name) or hashlib.sha1(f"blob {len(content)}\0".encode() + content).hexdigest()
        about: dict[str, Any] = {"rfilename": name, "size": size, "blobId": blob}
        if name.endswith(LARGE):
            sha256 = self.sums.get(name) or hashlib.sha256(content).hexdigest()
            about["lfs"] = {"sha256": sha256, "size": size, "pointerSize": 134}
        return about


@dataclass
class Hub:
    address: str
    repositories: dict[str, HubRepository] = field(default_factory=dict)
    asked: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)

    def add(self, name: str, files: dict[str, bytes], **about: Any) -> HubRepository:
        self.repositories[name] = HubRepository(name, files, **about)
        return self.repositories[name]

    def asked_files(self) -> list[str]:
        return [path.rpartition("/")[2] for _, path, _ in self.asked if "/resolve/" in path]


@contextmanager
def serve_hub() -> Iterator[Hub]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.hub = Hub(f"http://127.0.0.1:{server.server_port}")  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server.hub  # type: ignore[attr-defined]
    finally:
        server.shutdown()
        server.server_close()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def _answer(self) -> None:
        hub: Hub = self.server.hub  # type: ignore[attr-defined]
        path = unquote(urlsplit(self.path).path)
        hub.asked.append((self.command, path, {name.lower(): value for name, value in self.headers.items()}))
        if found := _INFO.fullmatch(path):
            if repository := self._find(hub, found["name"], found["revision"] or "main", is_file=False):
                self._send(200, json.dumps(repository.describe()).encode(), {"Content-Type": "application/json"})
        elif found := _FILE.fullmatch(path):
            if repository := self._find(hub, found["name"], found["revision"], is_file=True):
                self._send_file(repository, found["file"])
        else:
            self._refuse(404, "RepoNotFound")

    def _find(self, hub: Hub, name: str, revision: str, *, is_file: bool) -> HubRepository | None:
        token = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
        repository = hub.repositories.get(name)
        may = repository is not None and token in repository.tokens
        if token == "unknown":
            self._refuse(401, "", "Invalid credentials in Authorization header")
        elif repository is None or (repository.private and not may):
            self._refuse(404 if token else 401, "RepoNotFound")
        elif repository.status:
            self._refuse(repository.status, "")
        elif revision not in (*repository.revisions, repository.sha):
            self._refuse(404, "RevisionNotFound")
        elif repository.gated and is_file and not may:
            self._refuse(403 if token else 401, "GatedRepo", "Access to this model is restricted.")
        else:
            return repository
        return None

    def _send_file(self, repository: HubRepository, name: str) -> None:
        content = repository.files.get(name)
        if content is None:
            self._refuse(404, "EntryNotFound")
            return
        start = 0
        if repository.takes_ranges and (asked := re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or "")):
            start = int(asked[1])
        headers = {"ETag": f'"{hashlib.sha256(content).hexdigest()}"', "X-Repo-Commit": repository.sha}
        headers |= {"X-Linked-Size": str(len(content)), "X-Linked-Etag": headers["ETag"]}
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        part, cuts = content[start:], repository.cuts.get(name, [])
        held = repository.held.get(name)
        if cuts:
            self._head(200 if not start else 206, len(part), headers)
            self.wfile.write(part[: cuts.pop(0)])
            self.close_connection = True
        elif held is not None and not held.is_set():
            self._head(200 if not start else 206, len(part), headers)
            half = len(part) // 2
            self.wfile.write(part[:half])
            self.wfile.flush()
            held.wait(60)
            self.wfile.write(part[half:])
        else:
            self._send(200 if not start else 206, part, headers)

    def _refuse(self, status: int, code: str, message: str = "") -> None:
        headers = {"X-Error-Code": code} if code else {}
        self._send(status, b"{}", headers | ({"X-Error-Message": message} if message else {}))

    def _head(self, status: int, size: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(size))
        self.end_headers()

    def _send(self, status: int, content: bytes, headers: dict[str, str]) -> None:
        self._head(status, len(content), headers)
        if self.command == "HEAD":
            return
        try:
            for at in range(0, len(content), PIECE):
                self.wfile.write(content[at : at + PIECE])
        except OSError:
            self.close_connection = True
