"""A hostile web site on loopback, and a browser that finds it under a foreign name."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from tests.e2e.conftest import QUIET
from tests.support.browser import program

EVIL = "evil.example"
ATTACK = (Path(__file__).parent / "attack.js").read_text()
PAGE = b"<!doctype html><title>Nice kittens</title><body>"
PUBLIC = "treat-as-public-address"


class Site(BaseHTTPRequestHandler):
    """/public counts as a page of the internet."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        if self.path == "/public":
            self.send_header("Content-Security-Policy", PUBLIC)
        self.end_headers()
        self.wfile.write(PAGE)

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def hostile_site() -> Iterator[int]:
    """Its port. To the browser below the site is at 127.0.0.1, beside the console, and at evil.example."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


@contextmanager
def deceived_browser() -> Iterator[Browser]:
    """A Chromium, to which evil.example is this machine, as after DNS rebinding."""
    with sync_playwright() as playwright:
        options = [*QUIET, f"--host-resolver-rules=MAP {EVIL} 127.0.0.1"]
        opened = playwright.chromium.launch(executable_path=program(playwright), args=options)
        yield opened
        opened.close()
