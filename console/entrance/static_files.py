"""Static files and `/healthz`, answered without a thread: neither asks anybody anything."""

import json
import os
from typing import Any, Final

from django.conf import settings
from django.http.request import split_domain_port, validate_host
from whitenoise.middleware import WhiteNoiseMiddleware

from console.web.middleware import SECURITY_HEADERS
from console.web.streams import Scope

from .answers import Answer, FileWrapper, Headers
from .limits import MEGABYTE

HEALTHY: Final = json.dumps({"status": "ok"}).encode()
HANGING: Final = json.dumps({"status": "all threads that make pages hang"}).encode()
# Smaller ones are kept in memory, up to so many bytes together.
LARGEST_KEPT: Final = MEGABYTE
MAX_KEPT: Final = 16 * MEGABYTE


def is_plain(scope: Scope) -> bool:
    """Asked as a browser or a health check would. All else is left to Django: a name that is not ours, a form."""
    if scope["method"] not in ("GET", "HEAD"):
        return False
    host = next((value for name, value in scope["headers"] if name == b"host"), b"").decode("latin-1")
    return validate_host(split_domain_port(host)[0], settings.ALLOWED_HOSTS)


def health(is_hanging: bool) -> Answer:
    body = HANGING if is_hanging else HEALTHY
    headers = {
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
        "Cache-Control": "max-age=0, no-cache, no-store, must-revalidate, private",
        **SECURITY_HEADERS,
    }
    return Answer(503 if is_hanging else 200, encode(headers.items()), body)


def encode(headers: Any) -> Headers:
    return [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]


class StaticFiles:
    """whitenoise's table: which file, as compressed as the browser takes it, and with which headers."""

    def __init__(self) -> None:
        self.noise = WhiteNoiseMiddleware(lambda request: None)
        self.kept: dict[str, bytes] = {}
        self.room = MAX_KEPT

    def find(self, scope: Scope) -> Answer | None:
        path = scope["path"]
        file = self.noise.find_file(path) if self.noise.autorefresh else self.noise.files.get(path)
        if file is None:
            return None
        asked = {f"HTTP_{name.decode('latin-1').upper().replace('-', '_')}": value.decode("latin-1")
                 for name, value in scope["headers"]}  # fmt: skip
        response = file.get_response(scope["method"], asked)
        headers = [*response.headers, ("X-Content-Type-Options", "nosniff")]
        if settings.HTTPS:
            headers.append(("Strict-Transport-Security", f"max-age={settings.SECURE_HSTS_SECONDS}"))
        return Answer(int(response.status), encode(headers), self._body(response.file))

    def _body(self, file: Any) -> bytes | FileWrapper:
        if file is None:
            return b""
        name = getattr(file, "name", None)
        if name is None or self.noise.autorefresh:
            return FileWrapper(file)
        if name not in self.kept:
            size = os.fstat(file.fileno()).st_size
            if size > min(LARGEST_KEPT, self.room):
                return FileWrapper(file)
            self.kept[name] = file.read()
            self.room -= size
        file.close()
        return self.kept[name]
