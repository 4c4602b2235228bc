"""Many images of one person, opened one after another by one child: to start a child takes longer than to open one."""

import json
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from .image_file import CHILD, CleanImage, find_kind, read_answer, refusal, take_turn, why_ended

# So many images have a child in common; what they leave in its memory is gone with it.
IMAGES_A_CHILD = 200
PATIENCE = 1
# On a clock; the processor time of each is what it is for one alone.
LONGEST_SECONDS = 30.0
LARGEST_HEAD, LARGEST_RESULT = 1000, 6 * 1024 * 1024


class Batch:
    """A context manager. `program` is what the child runs, and `seconds` how long it may take for each image."""

    def __init__(self, side: int, program: Path = CHILD, seconds: float = LONGEST_SECONDS) -> None:
        self._side, self._seconds = side, seconds
        self._command = [sys.executable, "-E", "-P", str(program), "many", str(side)]
        self._child: subprocess.Popen[bytes] | None = None
        self._opened = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def clean(self, content: bytes, name: str) -> CleanImage:
        """As `image_file.clean`; one with several frames is refused. Raises ImageRefused with a sentence."""
        kind = find_kind(content[:16], len(content), name)
        with take_turn(name):
            found = self._open(content, kind)
        if isinstance(found, str):
            raise refusal(found, name)
        return found

    def _open(self, content: bytes, kind: str) -> CleanImage | str:
        if self._opened >= IMAGES_A_CHILD:
            self._end()
        is_first = self._child is None
        found = self._ask(content, kind)
        if found == "heavy" and not is_first:
            # Perhaps because of those before it.
            self._end()
            found = self._ask(content, kind)
        return found

    def _ask(self, content: bytes, kind: str) -> CleanImage | str:
        child = self._child or self._start()
        self._opened += 1
        late = threading.Event()

        def end_it() -> None:
            late.set()
            child.kill()

        timer = threading.Timer(self._seconds, end_it)
        timer.start()
        try:
            answer = _exchange(child, {"kind": kind, "size": len(content)}, content)
        finally:
            timer.cancel()
        if answer is None:
            code = self._end()
            return "slow" if late.is_set() else why_ended(code)
        return read_answer(*answer, self._side)

    def _start(self) -> "subprocess.Popen[bytes]":
        alone: dict[str, Any] = {"stderr": subprocess.DEVNULL, "env": {}, "cwd": "/"}
        self._child = subprocess.Popen(self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, **alone)
        self._opened = 0
        return self._child

    def _end(self) -> int:
        """With which code it ended by itself, now that it gets no more; 0 where it had to be killed."""
        child, self._child = self._child, None
        if child is None:
            return 0
        for pipe in (child.stdin, child.stdout):
            with suppress(OSError):
                assert pipe
                pipe.close()
        try:
            return child.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
            return 0


def _exchange(child: "subprocess.Popen[bytes]", asked: dict[str, Any], content: bytes) -> tuple[bytes, bytes] | None:
    """Its answer, as a line and an image; None for anything else."""
    assert child.stdin
    assert child.stdout
    try:
        child.stdin.write(json.dumps(asked).encode() + b"\n" + content)
        child.stdin.flush()
        head = child.stdout.readline(LARGEST_HEAD)
        size = int(json.loads(head)["size"])
        result = child.stdout.read(size) if 0 <= size <= LARGEST_RESULT else b""
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return (head, result) if len(result) == size else None
