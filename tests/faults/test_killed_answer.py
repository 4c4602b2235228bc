"""An answer whose worker is killed: all that the page showed of it stays, and the page hears of its end in seconds."""

import os
import shlex
import signal
import threading
import time
from pathlib import Path

import pytest

from tests.jobs.localvertex.servers import FAKE_LLAMA
from tests.jobs.services.chat.streaming.test_renderer import Page
from tests.support import journey
from tests.support.headless_client import Visitor
from tests.support.running import GEMMA, Running, running, with_tiny_model

pytestmark = [pytest.mark.timeout(240), pytest.mark.fault("F21", "F23")]
FRAMES = 13
FOUND_SECONDS = 10.0


class Watched:
    """An answer without end, and what a page shows of it. `ended`: when the page was told that it is over."""

    def __init__(self, person: Visitor, endpoint: str) -> None:
        page = person.get(f"/studio/chat/?endpoint={endpoint}")
        page = person.submit(page, "/studio/chat/", text="forever", endpoint=endpoint)
        self.turn, self.person = journey.last_turn(page), person
        self.shown, self.frames, self.ended = Page(), 0, 0.0
        self._stream = journey.frames_address(page)
        self.thread = threading.Thread(target=self._watch, daemon=True)
        self.thread.start()

    def _watch(self) -> None:
        for event, data in self.person.events(self._stream):
            if event == "end":
                self.ended = time.monotonic()
                return
            self.shown.apply({"data": data})
            self.frames += 1

    def until_shown(self) -> None:
        until = time.monotonic() + 30
        while self.frames < FRAMES:
            assert time.monotonic() < until, self.shown.html
            time.sleep(0.01)

    def stored(self) -> tuple[list[str], bool]:
        """The words of the answer, and whether it says that it was cut off."""
        html = self.person.client.get(f"/studio/chat/turns/{self.turn}/").raise_for_status().text
        return journey.answer_text(html).split(), "was cut off because the console stopped" in html


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory):
    options = with_tiny_model(f"--serving-command {shlex.quote(FAKE_LLAMA)}")
    with running(tmp_path_factory.mktemp("killed") / "data", options) as started:
        yield started


@pytest.fixture(scope="module")
def person(console: Running):
    with Visitor(console.address) as visitor:
        visitor.sign_in(console.link)
        journey.wait_for_catalogue(visitor)
        yield visitor


@pytest.fixture(scope="module")
def endpoint(person: Visitor) -> str:
    found = journey.deploy_base(person, GEMMA)
    journey.wait_until_ready(person, found, 90)
    return found


def test_all_that_was_shown_stays(console: Running, person: Visitor, endpoint: str) -> None:
    watched = Watched(person, endpoint)
    watched.until_shown()
    console.kill("chat")
    killed = time.monotonic()
    watched.thread.join(30)
    shown, (stored, is_cut_off) = watched.shown.words, watched.stored()
    assert (stored[: len(shown)], stored[:3], is_cut_off) == (shown, ["Hello", "there", "more"], True)
    assert watched.ended - killed < FOUND_SECONDS


def test_with_the_cache_gone_too_what_was_saved_stays(console: Running, person: Visitor, endpoint: str) -> None:
    """The last second is in no place then."""
    watched = Watched(person, endpoint)
    watched.until_shown()
    time.sleep(1.5)
    saved = watched.stored()[0]
    pids = console.pids()
    for name in ("cache", "chat"):
        os.kill(pids[name], signal.SIGKILL)
    until = time.monotonic() + 30
    while not watched.stored()[1]:
        assert time.monotonic() < until
        time.sleep(0.2)
    stored = watched.stored()[0]
    assert (stored[: len(saved)], stored[:2]) == (saved, ["Hello", "there"])


def test_the_next_answer_comes_as_ever(console: Running, person: Visitor, endpoint: str, tmp_path: Path) -> None:
    assert journey.ask(person, endpoint, "Ahoy").text == "Hello there"
