"""A console on a small disk that fills up while a model is tuned and an answer is written, and is emptied again."""

import contextlib
import io
import json
import os
import shlex
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.contrib.auth.models import User
from google.cloud.aiplatform_v1beta1.types import TuningJob

from jobs import shortages
from jobs.errors import NoRoom
from jobs.files import store
from jobs.localvertex.api.errors import ApiError
from jobs.localvertex.engine.checkpoints import beside
from jobs.localvertex.engine.job import EventLog
from jobs.localvertex.shortages import shortage_of
from jobs.localvertex.store import Store
from jobs.models import Dataset
from jobs.services.datasets import datasets
from tests.faults.test_killed_answer import Watched
from tests.faults.test_processes import LONG, creates
from tests.jobs.localvertex.servers import FAKE_LLAMA
from tests.support import factories, journey
from tests.support.headless_client import Visitor
from tests.support.running import GEMMA, ROOT, Running, running, with_tiny_model

pytestmark = [pytest.mark.timeout(600), pytest.mark.fault("F20"), pytest.mark.threat("T12")]
ROWS = ROOT / "tests/fixtures/tiny-tune/train.jsonl"
SENTENCE = "The disk of the data directory is full. Nothing can be saved until there is free space."
PAGES = (
    "/",
    "/model-garden/",
    "/tuning/",
    "/endpoints/",
    "/studio/chat/",
    "/datasets/",
    "/settings/",
)
FULL_SECONDS = 25


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=120m", "tmpfs", folder], capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"A small disk cannot be mounted here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def fill(disk: Path) -> Path:
    """To the last byte: what is freed meanwhile is taken, too."""
    ballast = disk / "ballast"
    with ballast.open("ab", buffering=0) as file:
        for size in (2**20, 4096, 1):
            try:
                while True:
                    file.write(b"\0" * size)
            except OSError:
                continue
    return ballast


def empty_wal(database: Path) -> None:
    """SQLite's write-ahead log keeps its size when it begins anew: changes find room in it although the disk is full,
    and are saved."""
    with contextlib.closing(sqlite3.connect(database, timeout=30)) as opened:
        (is_busy, *_pages) = opened.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        assert is_busy == 0


def readyz(person: Visitor) -> tuple[int, str]:
    answer = person.client.get("/readyz")
    return answer.status_code, answer.json()["checks"]["disk"]


def send(person: Visitor, url: str, ending: str, **values: str) -> httpx.Response:
    page = person.get(url)
    form = page.form(ending)
    headers = {"Referer": page.url, "Origin": str(person.client.base_url).rstrip("/")}
    return person.client.post(httpx.URL(page.url).join(form.action), data={**form.fields, **values}, headers=headers)


def assert_refused(answer: httpx.Response, kept: str) -> None:
    assert (answer.status_code, SENTENCE in answer.text, "Retry-After" in answer.headers) == (503, True, True)
    assert kept in answer.text


def wait_until_ready(person: Visitor) -> None:
    until = time.monotonic() + 40
    while person.client.get("/readyz/all").status_code != 200:
        assert time.monotonic() < until, person.client.get("/readyz/all").text
        time.sleep(0.5)


def test_a_dataset_that_does_not_fit_leaves_nothing_behind(disk: Path, settings: Any, owner: User) -> None:
    settings.DATA_DIR = disk
    rows = io.BytesIO(b'{"prompt": "Ahoy", "completion": "Arr"}\n' * 5000)
    ballast = fill(disk)
    shortages.seen.forget()
    with pytest.raises(NoRoom, match="is nearly full: 0 MB are left"):
        datasets.create(owner, file=rows, file_name="rows.jsonl")
    os.truncate(ballast, ballast.stat().st_size - 100_000)
    report = datasets._report_of(made := Dataset(owner=owner))
    with pytest.raises(OSError, match="No space left on device"):
        datasets._fill(made, rows, disk / "datasets.part", lambda _rows: None, 2**20, report)
    (disk / "datasets.part").unlink()
    shortages.seen.forget()
    assert [path.name for path in disk.rglob("*") if path.is_file()] == ["ballast"]


def test_a_picture_that_does_not_fit_leaves_nothing_behind(disk: Path, settings: Any) -> None:
    settings.DATA_DIR = disk
    (disk / "pictures/ab").mkdir(parents=True)
    fill(disk)
    with pytest.raises(OSError, match="No space left on device"):
        store.save("pictures/ab/abcd", factories.png())
    assert [path.name for path in disk.rglob("*") if path.is_file()] == ["ballast"]


def test_the_books_of_the_local_vertex_ai_outlive_it(disk: Path) -> None:
    """A change that cannot be kept is undone, for everybody: the next one does not wait in its transaction."""
    books = Store(disk / "vertex.sqlite3")
    books.insert(TuningJob(name="a"))
    ballast = fill(disk)
    for _ in range(2):
        with pytest.raises(sqlite3.OperationalError, match="full") as caught:
            add_many(books)
        assert shortage_of(caught.value).startswith("The disk of the local Vertex AI is full.")
    with pytest.raises(ApiError, match="The disk of the local Vertex AI is full."):
        books.require_room()
    assert [job.name for job in books.all(TuningJob)] == ["a"]
    ballast.unlink()
    books.require_room()
    books.insert(TuningJob(name="c"))
    books.close()
    assert [job.name for job in Store(disk / "vertex.sqlite3").all(TuningJob)] == ["c", "a"]


def add_many(store: Store) -> None:
    with store.transaction():
        for number in range(200):
            store.insert(TuningJob(name=f"b{number}", description="x" * 1000))


def test_the_events_of_a_training_wait_for_room(disk: Path) -> None:
    events = EventLog(disk / "events.jsonl")
    events.write("loading")
    ballast = fill(disk)
    for step in range(300):
        events.write("step", step=step, loss="x" * 40)
    ballast.unlink()
    events.write("done")
    events.flush()
    told = [json.loads(line) for line in (disk / "events.jsonl").read_text().splitlines()]
    assert [event["event"] for event in told] == ["loading", *["step"] * 300, "done"]
    assert [event["step"] for event in told[1:-1]] == list(range(300))


def test_half_a_file_is_never_in_its_place(disk: Path) -> None:
    (disk / "config.json").write_text("{}")
    fill(disk)
    with pytest.raises(OSError, match="No space left"), beside(disk / "config.json") as partial:
        partial.write_text("x" * 100_000)
    assert ((disk / "config.json").read_text(), sorted(path.name for path in disk.iterdir())) == (
        "{}",
        ["ballast", "config.json"],
    )


@pytest.mark.slow
def test_it_goes_on_when_there_is_room_again(disk: Path) -> None:
    """The job ends well with one create, the answer is whole, no process was lost, the database is sound."""
    options = with_tiny_model(f"--serving-command {shlex.quote(FAKE_LLAMA)}")
    with running(disk / "data", options) as console, Visitor(console.address) as person:
        person.sign_in(console.link)
        journey.wait_for_catalogue(person)
        endpoint = journey.deploy_base(person, GEMMA)
        journey.wait_until_ready(person, endpoint, 120)
        tune = journey.Tune(GEMMA, train=ROWS, auto_deploy=False, training=LONG | {"epochs": "6"})
        review = journey.fill_in(person, tune)
        second = journey.fill_in(person, tune)
        job = journey.start(person, review, tune)
        journey.wait_for_step(person, job, 120)
        answer = Watched(person, endpoint)
        answer.until_shown()
        before = console.pids()
        empty_wal(disk / "data/console.sqlite3")
        ballast = fill(disk)
        stay_full(disk, person, console, endpoint, second.url)
        frames = answer.frames
        ballast.unlink()
        assert console.process.poll() is None
        assert console.pids() == before
        wait_until_ready(person)
        assert SENTENCE not in person.get("/tuning/").text
        go_on(person, answer, frames)
        journey.wait_for_state(person, job, "Succeeded", 300)
        assert creates(console, job) == 1
        again = journey.start(person, person.get(second.url), tune)
        journey.wait_for_step(person, again, 120)
    assert is_sound(disk / "data/console.sqlite3")
    assert is_sound(disk / "data/localvertex/vertex.sqlite3")
    assert left_over(disk / "data") == []


def assert_said(disk: Path, person: Visitor, url: str) -> None:
    """The disk is looked at every two seconds, and something may have given a little back when it was."""
    until = time.monotonic() + 6
    while time.monotonic() < until:
        answer = person.client.get(url)
        assert (url, answer.status_code) == (url, 200)
        if SENTENCE in answer.text:
            return
        fill(disk)
    raise AssertionError(f"{url} does not say that the disk is full")


def stay_full(disk: Path, person: Visitor, console: Running, endpoint: str, review: str) -> None:
    until = time.monotonic() + FULL_SECONDS
    while time.monotonic() < until:
        fill(disk)
        for url in PAGES:
            assert_said(disk, person, url)
        assert readyz(person) == (503, SENTENCE)
        assert httpx.get(f"{console.address}/healthz", trust_env=False).status_code == 200
        time.sleep(1)
    assert_refused(send(person, f"/studio/chat/?endpoint={endpoint}", "/studio/chat/", text="Kept words"), "Kept words")
    assert_refused(send(person, review, "/start/", endpoint_display_name="Kept name"), "Kept name")
    assert console.process.poll() is None


def go_on(person: Visitor, answer: Watched, frames: int) -> None:
    """Its frames never stopped; stopped by the person, it is stored with all of them."""
    until = time.monotonic() + 30
    while answer.frames <= frames:
        assert time.monotonic() < until
        time.sleep(0.1)
    page = person.get(f"/studio/chat/turns/{answer.turn}/")
    person.submit(page, "/stop/")
    answer.thread.join(30)
    shown, (stored, is_cut_off) = answer.shown.words, answer.stored()
    assert (stored[: len(shown)], is_cut_off) == (shown, False)


def is_sound(path: Path) -> bool:
    with sqlite3.connect(path) as database:
        return database.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def left_over(folder: Path) -> list[str]:
    """Files that were begun and not ended."""
    found = [os.path.relpath(path, folder) for path in folder.rglob("*") if "partial" in path.name]
    return sorted(found)
