import fcntl
import io
import json
import os
import pty
import re
import subprocess
import sys
import termios
import threading
from pathlib import Path
from typing import TextIO

import pytest

from console.management.terminal import Terminal

NOTICE = re.compile(r"\((\d+) lines? (?:is|are) left out here; the logs have all of them\.\)")


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


class Gone(io.StringIO):
    def write(self, text: str) -> int:
        raise BrokenPipeError


def follow(terminal: Terminal, text: bytes, *, echo: bool = True) -> None:
    terminal.follow("web", io.BytesIO(text), echo=echo).join(5)
    assert terminal.flush(5)


def test_every_line_carries_its_process(tmp_path):
    stream = io.StringIO()
    follow(Terminal(tmp_path, stream), b"one\ntwo")
    assert stream.getvalue() == "web     │ one\nweb     │ two\n"


def test_colours_are_for_screens(tmp_path, monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    stream = Screen()
    follow(Terminal(tmp_path, stream), b"one\n")
    assert stream.getvalue() == "\x1b[36mweb     │ \x1b[0mone\n"


def test_no_color_is_respected(tmp_path, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    stream = Screen()
    follow(Terminal(tmp_path, stream), b"one\n")
    assert stream.getvalue() == "web     │ one\n"


def test_a_quiet_process_writes_to_its_file_only(tmp_path):
    stream = io.StringIO()
    terminal = Terminal(tmp_path, stream)
    follow(terminal, b"one\nb\xff\n", echo=False)
    assert (stream.getvalue(), terminal.tail("web")) == ("", "one\nb\ufffd")


def test_a_reader_that_went_away_stops_nothing(tmp_path):
    terminal = Terminal(tmp_path, Gone())
    follow(terminal, b"one\ntwo\n")
    assert terminal.tail("web") == "one\ntwo"


def test_a_full_file_is_rotated(tmp_path):
    follow(Terminal(tmp_path, io.StringIO(), log_size=100), b"x" * 60 + b"\n" + b"y" * 60 + b"\n")
    assert (tmp_path / "web.log.1").read_text() == "x" * 60 + "\n"


@pytest.mark.fault("F20")
def test_a_full_disk_costs_lines_in_the_file_and_nothing_else(tmp_path, capfd):
    """/dev/full takes nothing, as a full disk."""
    stream, log = io.StringIO(), tmp_path / "web.log"
    log.symlink_to("/dev/full")
    terminal = Terminal(tmp_path, stream)
    reader, writer = os.pipe()
    thread = terminal.follow("web", os.fdopen(reader, "rb"), echo=True)
    os.write(writer, b"one\ntwo\n")
    assert eventually(lambda: stream.getvalue() == "web     │ one\nweb     │ two\n")
    log.unlink()
    os.write(writer, b"three\n")
    os.close(writer)
    thread.join(5)
    assert log.read_text() == "(2 lines could not be written to this file.)\nthree\n"
    assert (terminal.tail("web"), capfd.readouterr()) == ("one\ntwo\nthree", ("", ""))


@pytest.mark.fault("F20")
def test_a_folder_of_logs_that_is_gone_stops_nothing(tmp_path, capfd):
    (tmp_path / "file").touch()
    terminal = Terminal(tmp_path / "file" / "logs", io.StringIO())
    follow(terminal, b"one\n")
    assert (terminal.tail("web"), capfd.readouterr()) == ("one", ("", ""))


class Stuck:
    """A terminal that takes nothing, such as one after Ctrl-S, until it is read."""

    def __init__(self) -> None:
        self.reader, self.writer = os.pipe()
        self.stream = os.fdopen(self.writer, "w")

    def read(self, last: str) -> list[str]:
        text = ""
        while not text.endswith(last):
            text += os.read(self.reader, 65_536).decode()
        return text.splitlines()

    def count_waiting(self) -> int:
        """Bytes that it was given and that nobody has read."""
        return int.from_bytes(fcntl.ioctl(self.reader, termios.FIONREAD, bytes(4)), sys.byteorder)

    def close(self) -> None:
        os.close(self.reader)
        self.stream.close()


@pytest.fixture
def stuck():
    made = Stuck()
    yield made
    made.close()


@pytest.mark.fault("F18")
@pytest.mark.parametrize("is_blocking", [True, False])
def test_a_terminal_that_takes_nothing_holds_up_no_process_and_loses_no_log(tmp_path, stuck, is_blocking):
    os.set_blocking(stuck.writer, is_blocking)
    terminal, line = Terminal(tmp_path, stuck.stream), "x" * 999
    terminal.say("Starting.")
    reader = terminal.follow("web", io.BytesIO(f"{line}\n".encode() * 2000), echo=True)
    reader.join(20)
    terminal.say("Stopped.")
    assert (reader.is_alive(), terminal.flush(0.1)) == (False, False)
    assert (tmp_path / "web.log").read_text().count("\n") == 2000
    shown = stuck.read("Stopped.\n")
    assert (shown[0], shown[1], shown[-1]) == ("Starting.", f"web     │ {line}", "Stopped.")
    assert shown[1:-1].count(f"web     │ {line}") + sum(left_out(shown)) == 2000
    assert (left_out(shown[-2:]) != [], terminal.flush(5)) == (True, True)


class Late(io.StringIO):
    """A stream whose writer has taken its first text when the others find no room."""

    encoding = "utf-8"

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self.stream, self.has_taken, self.may_begin = stream, threading.Event(), threading.Event()

    def fileno(self) -> int:
        self.has_taken.set()
        self.may_begin.wait(20)
        return self.stream.fileno()


def test_lines_that_are_left_out_at_two_times_are_counted_twice(tmp_path, stuck):
    """As where the writer comes late on a busy machine: the terminal takes some, and then nothing any more."""
    late, line = Late(stuck.stream), "x" * 999
    terminal = Terminal(tmp_path, late, screen_size=150_000)
    terminal.say("Starting.")
    assert late.has_taken.wait(20)
    terminal.follow("web", io.BytesIO(f"{line}\n".encode() * 200), echo=True).join(20)
    late.may_begin.set()
    assert eventually(lambda: stuck.count_waiting() > len("Starting.\n"))
    terminal.follow("web", io.BytesIO(f"{line}\n".encode() * 200), echo=True).join(20)
    terminal.say("Stopped.")
    shown = stuck.read("Stopped.\n")
    assert (len(left_out(shown)), shown.count(f"web     │ {line}") + sum(left_out(shown))) == (2, 400)


def left_out(shown: list[str]) -> list[int]:
    """By each notice of them."""
    return [int(notice[1]) for line in shown if (notice := NOTICE.fullmatch(line))]


def test_sentences_that_only_the_terminal_gets_have_room_where_lines_have_none(tmp_path, stuck):
    terminal = Terminal(tmp_path, stuck.stream, screen_size=100)
    terminal.say("x" * 199)
    assert terminal.flush(5)
    while terminal.flush(0.05):
        terminal.say("y" * 199)
    terminal.follow("web", io.BytesIO(b"lost\n" * 20), echo=True).join(5)
    terminal.say("Ready. Open http://127.0.0.1:8000/")
    terminal.say("z" * 199)
    assert stuck.read("here; the logs have all of them.)\n")[-2:] == [
        "Ready. Open http://127.0.0.1:8000/",
        "(1 line is left out here; the logs have all of them.)",
    ]


PROGRAM = r"""
import os, signal, sys
from pathlib import Path
from console.management.rundir import RunDirectory
from console.management.supervisor import Process, Supervisor
from console.management.terminal import Terminal

folder = Path(sys.argv[1])
run = RunDirectory(folder)
run.acquire()
supervisor = Supervisor(Terminal(folder / "logs"), run)
signal.signal(signal.SIGTERM, lambda *_: supervisor.stopping.set())
talks = (
    "import os, time\nwhile True:\n print('x' * 9999, flush=True)\n"
    " os.write(int(os.environ['CONSOLE_PULSE_FD']), b'\\n')\n time.sleep(0.01)"
)
supervisor.start(Process("web", [sys.executable, "-c", talks], dict(os.environ), None, folder),
                 Process("worker", [sys.executable, "-c", "raise SystemExit(3)"], dict(os.environ), None, folder))
supervisor.watch()
supervisor.stop()
"""


@pytest.mark.fault("F18")
def test_a_terminal_that_takes_nothing_does_not_keep_the_console_from_its_work_or_from_its_end(tmp_path):
    """A real terminal, which nobody reads: `worker` is started again all the same, and SIGTERM ends everything."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-c", PROGRAM, str(tmp_path)]
    log = tmp_path / "logs/web.log"
    with subprocess.Popen(command, stdout=theirs, cwd=Path(__file__).parents[3], start_new_session=True) as process:
        try:
            assert eventually(lambda: log.exists() and log.stat().st_size > 2_000_000, 30)
            assert eventually(lambda: facts(tmp_path)["worker"]["restarts"] > 1, 10)
            assert facts(tmp_path)["web"]["restarts"] == 0
            process.terminate()
            assert process.wait(15) == 0
        finally:
            process.kill()
            os.close(theirs)
            os.close(ours)


def facts(folder: Path):
    return {child["name"]: child for child in json.loads((folder / "run/processes.json").read_text())["children"]}


def eventually(check, seconds: float = 5) -> bool:
    ticks = threading.Event()
    return any(check() or ticks.wait(0.02) for _ in range(int(seconds / 0.02)))
