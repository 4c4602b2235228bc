"""Server-sent events from bytes, with a limit on each."""

from collections.abc import Callable, Iterable, Iterator

from jobs.text.deferred import gettext as _
from jobs.vertex.errors import Unavailable

MAX_EVENT = 256 * 1024


def events(parts: Iterable[bytes], saw_event: Callable[[], None] = lambda: None) -> Iterator[str]:
    """The data of each event. A body that is no event stream is one event: Google sends errors as a JSON array."""
    data: list[bytes] = []
    size = 0
    for line in _lines(parts):
        if line.startswith(b"data:"):
            data.append(line[5:].removeprefix(b" "))
        elif line[:1] in (b"[", b"{") or (line and data and not _is_field(line)):
            data.append(line)
        else:
            if not line and data:
                saw_event()
                yield b"\n".join(data).decode("utf-8", "replace")
                data, size = [], 0
            continue
        # With its end: lines of nothing add up, too.
        size += len(data[-1]) + 1
        if size > MAX_EVENT:
            raise too_large()
    if data:
        yield b"\n".join(data).decode("utf-8", "replace")


def too_large() -> Unavailable:
    return Unavailable(_("The endpoint sent too much data at once."), "UNKNOWN")


def _is_field(line: bytes) -> bool:
    return line.startswith((b":", b"event:", b"id:", b"retry:"))


def _lines(parts: Iterable[bytes]) -> Iterator[bytes]:
    """A line may be cut anywhere between two parts; the last one may lack its end."""
    rest = bytearray()
    for part in parts:
        rest += part
        *whole, last = rest.split(b"\n")
        for line in whole:
            yield bytes(line).removesuffix(b"\r")
        rest = bytearray(last)
        if len(rest) > MAX_EVENT:
            raise too_large()
    if rest:
        yield bytes(rest)
