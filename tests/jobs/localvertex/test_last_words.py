"""What is told of a process that ended: its own last lines, as text."""

import subprocess
import sys

import pytest

from jobs.localvertex import last_words

GOMP = "libgomp.so.1: cannot open shared object file: No such file or directory"


def of(tmp_path, *command):
    """The lines of a real process and how it ended."""
    log = tmp_path / "server.log"
    with log.open("wb") as output:
        code = subprocess.run(command, stdout=output, stderr=subprocess.STDOUT, check=False).returncode
    return last_words.why(last_words.lines(log), code)


def python(tmp_path, code):
    return of(tmp_path, sys.executable, "-c", code)


def test_the_last_line_of_a_traceback_with_the_package(tmp_path):
    told = python(tmp_path, f"print('loading'); raise ImportError('{GOMP}')")
    remedy = "The system lacks the library libgomp.so.1. On Debian and Ubuntu, run: apt-get install libgomp1"
    assert told == f"ImportError: {GOMP}. {remedy}"


def test_a_library_that_is_really_missing(tmp_path):
    told = python(tmp_path, "import ctypes; ctypes.CDLL('libnobody.so.7')")
    remedy = "The system lacks the library libnobody.so.7. Install the package that has it."
    assert told == f"OSError: libnobody.so.7: cannot open shared object file: No such file or directory. {remedy}"


def test_a_module_that_is_not_installed(tmp_path):
    assert python(tmp_path, "import xllamacpp_of_nobody").endswith(
        "ModuleNotFoundError: No module named 'xllamacpp_of_nobody'. Python lacks the module xllamacpp_of_nobody."
        " Install the console again with its extra: pip install '.[local]'"
    )


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("print('E load: wrong magic'); print('done')", "E load: wrong magic."),
        ("print('srv  error: no memory\\nbye')", "srv  error: no memory."),
        ("print('I am going'); print('and gone')", "I am going; and gone."),
        ("raise SystemExit(7)", "It wrote nothing and ended with code 7."),
        (
            "import os; os.kill(os.getpid(), 9)",
            "It wrote nothing and was ended by the signal SIGKILL. The system does that when memory runs out.",
        ),
        ("class Odd(Exception): ...\nraise Odd('strange\\nthing')", "Odd: strange; thing."),
    ],
)
def test_what_else_may_be_left(tmp_path, code, told):
    assert python(tmp_path, code) == told


def test_it_is_text_and_short(tmp_path):
    wild = r"print('\x1b[31mError\x1b[0m\x00\x07 <script>\u202e' + 'x' * 5000)"
    told = python(tmp_path, f"import sys; sys.stdout.reconfigure(encoding='utf-8'); {wild}")
    assert told.startswith("Error   <script> xxx")
    assert (told.isprintable(), len(told)) == (True, last_words.LONGEST_LINE + len("."))


def test_of_a_long_log_only_the_end_is_read(tmp_path):
    log = tmp_path / "server.log"
    log.write_bytes(b"E early\n" + b"x" * last_words.TAIL + b"\n\xff\xfeE late\nError: at last\n")
    assert last_words.why(last_words.lines(log), 1) == "Error: at last."


def test_a_log_that_is_not_there(tmp_path):
    assert last_words.lines(tmp_path / "none.log") == []
