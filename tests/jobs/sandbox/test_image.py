"""The limits of the child that opens pictures, each tried by a program that breaks it."""

import io
import signal
import subprocess
import sys

import pytest

from jobs.errors import ImageRefused
from jobs.services.image_files.image_file import CHILD, clean
from tests.support import factories

pytestmark = pytest.mark.threat("T10")
BEGIN = f"import sys; sys.path.insert(0, {str(CHILD.parent)!r}); import socket, image as child; "
TRIES = {
    "a large memory": ("child.limit(); bytearray(500 * 2**20)", "MemoryError"),
    "a file": ("child.limit(); open('/etc/hostname')", "OSError: [Errno 24] Too many open files: '/etc/hostname'"),
    "a connection": ("child.limit(); socket.socket()", "OSError: [Errno 24] Too many open files"),
}


def run(statement):
    command = [sys.executable, "-E", "-P", "-c", BEGIN + statement]
    return subprocess.run(command, capture_output=True, text=True, env={}, timeout=20, check=False)


@pytest.mark.parametrize("what", TRIES)
def test_it_cannot_have(what):
    statement, error = TRIES[what]
    assert run(statement).stderr.splitlines()[-1:] == [error]


def test_it_cannot_take_long():
    assert run("child.CPU_SECONDS = 1; child.limit()\nwhile True: pass").returncode == -signal.SIGXCPU


def test_it_cannot_write_much(tmp_path):
    statement = BEGIN + "child.LARGEST_RESULT = 1000; child.limit(); sys.stdout.write('x' * 5000); sys.stdout.flush()"
    with (tmp_path / "out").open("wb") as out:
        subprocess.run([sys.executable, "-c", statement], stdout=out, stderr=subprocess.DEVNULL, env={}, check=False)
    assert (tmp_path / "out").stat().st_size == 1000


def test_one_that_does_not_end_is_refused(tmp_path):
    (tmp_path / "child.py").write_text("while True: pass")
    content = factories.png()
    with pytest.raises(ImageRefused, match="^it takes too long to open. Save it again as PNG or JPEG.$"):
        clean(io.BytesIO(content), size=len(content), name="it", side=896, program=tmp_path / "child.py", seconds=0.2)


@pytest.mark.parametrize(
    "program",
    ["print('nothing')", "print('{}')", "print('[]')", "import sys; sys.exit(1)", "print('{\"refused\": \"x\"}')",
     "print('{\"content_type\": \"text/html\", \"width\": 9, \"height\": 9}'); print('<script>')"],
)  # fmt: skip
def test_a_child_that_was_taken_over_is_not_believed(tmp_path, program):
    (tmp_path / "child.py").write_text(program)
    content = factories.png()
    with pytest.raises(ImageRefused, match="^it is damaged and can't be opened."):
        clean(io.BytesIO(content), size=len(content), name="it", side=896, program=tmp_path / "child.py")
