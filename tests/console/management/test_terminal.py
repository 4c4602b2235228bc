import io
import os
import threading

import pytest

from console.management.terminal import Terminal


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


class Gone(io.StringIO):
    def write(self, text: str) -> int:
        raise BrokenPipeError


def follow(terminal: Terminal, text: bytes, *, echo: bool = True) -> None:
    terminal.follow("web", io.BytesIO(text), echo=echo).join(5)


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


def test_a_full_file_is_rotated(tmp_path, monkeypatch):
    monkeypatch.setattr("console.management.terminal.LOG_BYTES", 100)
    follow(Terminal(tmp_path, io.StringIO()), b"x" * 60 + b"\n" + b"y" * 60 + b"\n")
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
    assert log.read_text() == "(2 lines could not be written here.)\nthree\n"
    assert (terminal.tail("web"), capfd.readouterr()) == ("one\ntwo\nthree", ("", ""))


@pytest.mark.fault("F20")
def test_a_folder_of_logs_that_is_gone_stops_nothing(tmp_path, capfd):
    (tmp_path / "file").touch()
    terminal = Terminal(tmp_path / "file" / "logs", io.StringIO())
    follow(terminal, b"one\n")
    assert (terminal.tail("web"), capfd.readouterr()) == ("one", ("", ""))


def eventually(check, seconds: float = 5) -> bool:
    ticks = threading.Event()
    return any(check() or ticks.wait(0.02) for _ in range(int(seconds / 0.02)))
