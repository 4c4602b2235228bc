"""A stranger's picture, decoded and drawn anew by a child process with little memory, little time and nothing else."""

import json
import logging
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

from jobs.errors import ImageRefused
from jobs.text.deferred import gettext as _

logger = logging.getLogger(__name__)

CHILD = Path(__file__).parents[2] / "sandbox" / "image.py"
LARGEST_FILE = 10 * 1024 * 1024
SECONDS = 10
# Each takes a processor and up to 300 MB: two at once, the others wait in line.
AT_ONCE = threading.BoundedSemaphore(2)
LONGEST_WAIT = 30
CONTENT_TYPES = {"image/png": b"\x89PNG\r\n\x1a\n", "image/jpeg": b"\xff\xd8\xff"}
HEIC_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"})


def _list_reasons() -> dict[str, str]:
    return {
        "pixels": _(
            "%(name)s has too many pixels. The maximum is 24 million, or 16 million for WebP. Scale it down and "
            "add it again."
        ),
        "narrow": _("%(name)s is too small or too narrow for a model to read."),
        "heavy": _("%(name)s needs too much memory to open. Save it again as PNG or JPEG."),
        "broken": _("%(name)s is damaged and can't be opened. Save it again as PNG or JPEG."),
        "slow": _("%(name)s takes too long to open. Save it again as PNG or JPEG."),
        "busy": _("Too many images are being opened right now. Add %(name)s again in a moment."),
        "large": _("%(name)s is larger than 10 MB. Scale it down and add it again."),
        "empty": _("%(name)s is empty."),
        "animated": _("%(name)s is animated. Save the frame that the model should see as PNG or JPEG."),
        "heic": _("%(name)s is a HEIC image, which models don't support. Save it as JPEG and add it again."),
        "kind": _("%(name)s isn't a PNG, JPEG, WebP, or GIF image."),
    }


@dataclass(frozen=True)
class CleanImage:
    """`is_turned`: the camera had written down how it is to be turned."""

    content: bytes
    content_type: str
    width: int
    height: int
    is_turned: bool = False


def refusal(reason: str, name: str) -> ImageRefused:
    return ImageRefused(_list_reasons()[reason] % {"name": name or _("The image")})


def kind_of(beginning: bytes) -> str:
    """By its first bytes; what the browser and the file's name say does not count. `heic`, `kind`: refused as such."""
    if beginning[4:8] == b"ftyp" and beginning[8:12] in HEIC_BRANDS:
        return "heic"
    if beginning[:4] == b"RIFF" and beginning[8:12] == b"WEBP":
        return "WEBP"
    for kind, magic in (("PNG", b"\x89PNG\r\n\x1a\n"), ("JPEG", b"\xff\xd8\xff"), ("GIF", b"GIF8")):
        if beginning.startswith(magic):
            return kind
    return "kind"


def find_kind(beginning: bytes, size: int, name: str) -> str:
    """Raises ImageRefused for what need not be opened."""
    if size > LARGEST_FILE or size == 0:
        raise refusal("large" if size else "empty", name)
    kind = kind_of(beginning)
    if kind in _list_reasons():
        raise refusal(kind, name)
    return kind


@contextmanager
def take_turn(name: str) -> Iterator[None]:
    """Whoever opens an image holds one. Raises ImageRefused when none comes free in time."""
    if not AT_ONCE.acquire(timeout=LONGEST_WAIT):
        raise refusal("busy", name)
    try:
        yield
    finally:
        AT_ONCE.release()


def clean(
    file: IO[bytes], *, size: int, name: str, side: int, program: Path = CHILD, seconds: float = SECONDS
) -> CleanImage:
    """At most `side` pixels long, turned upright, opaque, without metadata. Raises ImageRefused with a sentence.
    `program` is what the child runs, and `seconds` how long it may take."""
    file.seek(0)
    kind = find_kind(file.read(16), size, name)
    file.seek(0)
    with take_turn(name):
        answer = _ask_child(file, [str(program), kind, str(side)], seconds)
    picture = _read(answer, side)
    if isinstance(picture, str):
        raise refusal(picture, name)
    return picture


def _ask_child(file: IO[bytes], arguments: list[str], seconds: float) -> tuple[int | None, bytes]:
    """Its exit code (None: it was killed when its time was over) and what it wrote: at most what its limit lets it."""
    command = [sys.executable, "-E", "-P", *arguments]
    alone: dict[str, Any] = {"stderr": subprocess.DEVNULL, "env": {}, "cwd": "/", "timeout": seconds}
    with TemporaryFile() as given, TemporaryFile() as made:
        while part := file.read(64 * 1024):
            given.write(part)
        given.seek(0)
        try:
            ended = subprocess.run(command, stdin=given, stdout=made, check=False, **alone)
        except subprocess.TimeoutExpired:
            return None, b""
        made.seek(0)
        return ended.returncode, made.read()


def _read(answer: tuple[int | None, bytes], side: int) -> CleanImage | str:
    """The picture, or why there is none. The child is believed no more than the file that it has read."""
    code, output = answer
    if code != 0:
        return why_ended(code)
    head, _line, content = output.partition(b"\n")
    return read_answer(head, content, side)


def why_ended(code: int | None) -> str:
    """The reason, by the exit code of a child that gave no answer. None: its time was over."""
    if code and code > 0:
        logger.error("%s ended with %d: can this Python import Pillow?", CHILD.name, code)
    if code is not None and code >= 0:
        return "broken"
    return "slow" if code in (None, -signal.SIGXCPU) else "heavy"


def read_answer(head: bytes, content: bytes, side: int) -> CleanImage | str:
    try:
        found: dict[str, Any] = json.loads(head)
        if reason := found.get("refused"):
            return reason if reason in _list_reasons() else "broken"
        size = int(found["width"]), int(found["height"])
        picture = CleanImage(content, found["content_type"], *size, is_turned=found.get("turned") is True)
        right = content.startswith(CONTENT_TYPES[picture.content_type])
    except (ValueError, KeyError, TypeError, AttributeError):
        return "broken"
    return picture if right and 0 < picture.width <= side and 0 < picture.height <= side else "broken"
