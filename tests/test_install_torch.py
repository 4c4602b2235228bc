"""Which build of PyTorch is taken, with a program that writes down what pip is told."""

import os
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.support.googlehost import self_signed
from tests.support.running import ROOT

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere pip's own index has no CUDA")
FAKE = """#!/bin/sh
case "$2" in
    *version*) echo "$FAKE_VERSION"; exit ;;
    *urllib*) exec "$FAKE_PYTHON" "$@" ;;
esac
echo "$*" >>"$FAKE_LOG"
case "$*" in
    *--no-index*) exit "$FAKE_FOLDER" ;;
    *--index-url*) exit "$FAKE_INDEX" ;;
esac
"""
FOLDER = "-m pip install --quiet --no-deps --no-index torch>=2.9"
OWN_INDEX = "-m pip install --quiet torch>=2.9"


class Index(BaseHTTPRequestHandler):
    status = 200

    def do_HEAD(self) -> None:
        self.send_response(self.status if self.path == "/cpu/torch/" else 404)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


class Refusing(Index):
    status = 403


class Silent(Index):
    def do_HEAD(self) -> None:
        time.sleep(8)


@contextmanager
def serving(handler: type[Index], tls: ssl.SSLContext | None = None) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads, server.block_on_close = True, False
        if tls:
            server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http{'s' if tls else ''}://127.0.0.1:{server.server_port}/cpu"
        server.shutdown()


def unknown_certificate(folder: Path) -> ssl.SSLContext:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "server.pem").write_bytes(pem + self_signed(key))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem")
    return context


def install(folder: Path, index: str, **given: str) -> tuple[list[str], "subprocess.CompletedProcess[str]"]:
    """What pip was told, and how it ended."""
    python, log = folder / "python", folder / "log"
    python.write_text(FAKE)
    python.chmod(0o755)
    log.touch()
    fake = {"FAKE_LOG": str(log), "FAKE_PYTHON": sys.executable, "FAKE_FOLDER": "1", "FAKE_INDEX": "0"}
    environment = {"PATH": os.environ["PATH"], "TORCH_INDEX": index, **fake, **given}
    command = ["sh", "containers/install-torch", str(python), "--quiet"]
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False)
    return log.read_text().splitlines(), ended


def test_it_comes_from_the_index_for_processors_alone_and_nothing_else_does(tmp_path):
    with serving(Index) as index:
        told, ended = install(tmp_path, index)
    from_there = f"-m pip install --quiet --no-deps --retries 1 --index-url {index} torch>=2.9"
    assert (ended.returncode, ended.stderr, told) == (0, "", [FOLDER, from_there])


def test_a_certificate_that_pip_alone_may_know_is_left_to_pip(tmp_path):
    with serving(Index, unknown_certificate(tmp_path)) as index:
        told, ended = install(tmp_path, index)
    assert (ended.returncode, ended.stderr, len(told), index in told[-1]) == (0, "", 2, True)


def test_what_is_there_or_lies_in_a_folder_is_taken(tmp_path):
    told, ended = install(tmp_path, "http://127.0.0.1:1/cpu", FAKE_FOLDER="0")
    assert (ended.returncode, ended.stderr, told) == (0, "", [FOLDER])


@pytest.mark.parametrize("handler", [Refusing, Silent])
def test_an_index_that_does_not_answer_costs_three_seconds_and_one_line(tmp_path, handler):
    with serving(handler) as index:
        began = time.monotonic()
        told, ended = install(tmp_path, index)
        seconds = time.monotonic() - began
    line = f"{index} does not answer: PyTorch comes from pip's own index, perhaps with CUDA, several GB.\n"
    assert (ended.returncode, ended.stderr, told, seconds < 7) == (0, line, [FOLDER, OWN_INDEX], True)


def test_an_index_that_answers_and_does_not_deliver(tmp_path):
    with serving(Index) as index:
        told, ended = install(tmp_path, index, FAKE_INDEX="1")
    assert (ended.returncode, told[-1], len(told)) == (0, OWN_INDEX, 3)


def test_the_large_build_needs_its_room_first(tmp_path):
    told, ended = install(tmp_path, "http://127.0.0.1:1/cpu", ROOM_FOR_CUDA="false")
    assert (ended.returncode, told) == (1, [FOLDER])


@pytest.mark.parametrize(
    ("version", "before"), [("2.13.0+cpu", ["-m pip uninstall --yes --quiet torch"]), ("2.13.0", []), ("", [])]
)
def test_the_build_for_cards_replaces_the_other(tmp_path, version, before):
    told, ended = install(tmp_path, "http://127.0.0.1:1/cpu", CUDA="1", FAKE_VERSION=version)
    assert (ended.returncode, ended.stderr, told) == (0, "", [*before, OWN_INDEX])


@pytest.mark.parametrize(("given", "build"), [("0", "cpu"), ("1", "cuda")])
def test_make_asks_for_it_before_everything_else(tmp_path, given, build):
    command = ["make", "--dry-run", "up", f"CUDA={given}", f"VENV={tmp_path / 'venv'}", "PIP_ARGS=--no-compile"]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    steps = ["console/preflight.py", "-m venv", f"CUDA={given} ", ".[local]", "manage.py up"]
    assert sorted(steps, key=told.index) == steps
    assert f".torch-{build}" in told
