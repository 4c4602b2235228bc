"""A store that is away, hangs, refuses or changes: a sentence in good time, and never half a file."""

import re
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from jobs.errors import StoreUnavailable
from jobs.files import store
from jobs.files.limits import AT_ONCE, Line, Patience
from jobs.files.remote import PIECE, Pieces
from tests.support.localservers import free_port
from tests.support.misbehaving_server import Behaviour, answer, bad_server, drop
from tests.support.stores import use

AWAY = "The file store does not answer. Try again in a moment."
REFUSED = "The file store refuses the console. Ask an administrator to check FILES_URL and its credentials."
NO_BUCKET = "The bucket of the file store does not exist. Ask an administrator to check FILES_URL."
CHANGED = "A file was changed or removed while it was read. Try again."
NAME = "pictures/ab/abcdef"
SCHEMES = pytest.mark.parametrize("scheme", ["gs", "s3"])
pytestmark = pytest.mark.usefixtures("s3_keys")


def seconds(work: Callable[[], Any]) -> float:
    began = time.monotonic()
    work()
    return time.monotonic() - began


def unavailable(work: Callable[[], Any]) -> str:
    with pytest.raises(StoreUnavailable) as refused:
        work()
    return str(refused.value)


def use_server(settings: Any, scheme: str, address: str) -> None:
    use(settings, f"{scheme}://console-files/some?endpoint_url={address}")


def hang(connection: socket.socket) -> None:
    connection.recv(1)


def trickle(connection: socket.socket) -> None:
    """Each byte comes within the time limit of a socket."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nX-Long: ")
    while True:
        connection.sendall(b"a")
        time.sleep(0.2)


@SCHEMES
def test_a_store_that_nobody_listens_for(settings: Any, scheme: str) -> None:
    use_server(settings, scheme, f"http://127.0.0.1:{free_port()}")
    calls: list[Callable[[], Any]] = [
        lambda: store.size(NAME), lambda: store.read(NAME), lambda: store.save(NAME, b"x"), lambda: store.delete(NAME),
        lambda: list(store.walk("pictures")),
    ]  # fmt: skip
    assert [unavailable(call) for call in calls] == [AWAY] * 5
    store.discard(NAME)


@SCHEMES
@pytest.mark.parametrize("behave", [hang, pytest.param(trickle, marks=pytest.mark.slow)])
def test_what_hangs_is_waited_for_once(settings: Any, scheme: str, behave: Behaviour) -> None:
    """Most pages need several files, and few threads draw pages."""
    with bad_server(behave) as server:
        use_server(settings, scheme, server.address)
        assert seconds(lambda: unavailable(lambda: store.size(NAME))) < Patience().ask + 5
        assert seconds(lambda: [unavailable(lambda: store.size(NAME)) for _ in range(20)]) < 2


@SCHEMES
@pytest.mark.parametrize(
    ("behave", "sentence"),
    [
        (answer(403), REFUSED), (answer(401), REFUSED), (answer(404), NO_BUCKET), (answer(500), AWAY),
        (answer(200, b"<html>not what was asked for"), AWAY), (drop, AWAY), (answer(412), CHANGED),
    ],
)  # fmt: skip
def test_each_answer_has_its_sentence(settings: Any, scheme: str, behave: Behaviour, sentence: str) -> None:
    with bad_server(behave) as server:
        use_server(settings, scheme, server.address)
        assert unavailable(lambda: list(store.walk("pictures"))) == sentence


@SCHEMES
def test_a_bucket_that_is_not_there_does_not_pass_for_a_file_that_is_gone(
    request: pytest.FixtureRequest, settings: Any, scheme: str
) -> None:
    url: str = request.getfixturevalue("google" if scheme == "gs" else "s3")
    use(settings, url.replace("console-files", "another-bucket"))
    for work in (lambda: store.size(NAME), lambda: store.read(NAME), lambda: store.save(NAME, b"x")):
        assert unavailable(work) == NO_BUCKET
    with pytest.raises(StoreUnavailable, match=re.escape(NO_BUCKET)):
        store.open_file(NAME)


@pytest.mark.parametrize("change", ["replace", "delete"])
def test_a_file_that_changes_while_it_is_read_is_never_put_together_of_two(settings: Any, s3: str, change: str) -> None:
    use(settings, s3)
    name = f"datasets/{uuid4()}.jsonl"
    store.save(name, b"a" * (PIECE + 10))
    with store.open_file(name) as file:
        assert file.read(10) == b"a" * 10
        store.save(name, b"b" * (PIECE + 10)) if change == "replace" else store.delete(name)
        assert unavailable(file.read) == CHANGED


def test_google_is_asked_for_the_same_write(settings: Any) -> None:
    """The emulator does not look at the condition."""
    found = {"name": "some/pictures/ab/abcdef", "size": "5", "generation": "77", "updated": "2026-11-29T00:00:00Z"}
    with bad_server(answer(200, found)) as server:
        use_server(settings, "gs", server.address)
        assert unavailable(lambda: store.read(NAME)) == CHANGED
    assert [request.path for request in server.requests if "ifGenerationMatch=77" in request.path] != []


def test_credentials_that_are_missing_are_said(
    settings: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, google: str
) -> None:
    """What the emulator of `gs://` would give to anybody does not take Google's place."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    use_server(settings, "s3", f"http://127.0.0.1:{free_port()}")
    assert unavailable(lambda: store.size(NAME)) == REFUSED
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "nothing.json"))
    use(settings, "gs://console-files/some")
    assert unavailable(lambda: store.size(NAME)) == REFUSED
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", google.partition("endpoint_url=")[2])
    use(settings, "gs://console-files/some/folder")
    assert unavailable(lambda: store.size(NAME)) == REFUSED
    (tmp_path / "bad.json").write_text("{")
    use(settings, f"gs://console-files/some?credentials={tmp_path / 'bad.json'}")
    assert unavailable(lambda: store.size(NAME)) == REFUSED


def test_so_many_calls_wait_and_no_more() -> None:
    line, go_on = Line(), threading.Event()
    callers = [threading.Thread(target=lambda: line.call(go_on.wait, 30)) for _ in range(AT_ONCE)]
    for caller in callers:
        caller.start()
    with pytest.raises(TimeoutError, match="calls are still waiting"):
        line.call(lambda: None, 0.2)
    with pytest.raises(TimeoutError, match="a moment ago"):
        line.call(lambda: None, 0.2)
    go_on.set()
    for caller in callers:
        caller.join()


def test_after_a_pause_one_caller_tries_for_all() -> None:
    line, go_on, came = Line(pause=0.0), threading.Event(), threading.Event()
    line.close()

    def wait() -> None:
        came.set()
        go_on.wait(30)

    trial = threading.Thread(target=lambda: line.call(wait, 30))
    trial.start()
    came.wait(30)
    with pytest.raises(TimeoutError, match="a moment ago"):
        line.call(lambda: None, 30)
    go_on.set()
    trial.join()
    assert line.call(lambda: "open again", 30) == "open again"


def test_the_error_of_a_call_is_the_callers() -> None:
    with pytest.raises(ZeroDivisionError):
        Line().call(lambda: 1 / 0, 5)


def test_a_store_that_gives_less_than_it_said_is_not_believed(settings: Any, google: str) -> None:
    use(settings, google)
    store.save(NAME, b"short")
    files = store._store()
    found = files.stat(NAME)
    reader = Pieces(files, NAME, found._replace(size=found.size + 5))
    with pytest.raises(StoreUnavailable, match=re.escape(CHANGED)):
        reader.readall()
