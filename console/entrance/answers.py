"""Takes answers from the threads that make them, as fast as they are made, and sends them as fast as they are taken.

Slow clients are cut off by console/entrance/connections.py; sending to one that was cut off returns at once.
"""

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, suppress
from dataclasses import dataclass
from tempfile import SpooledTemporaryFile
from typing import IO, Any, Final

from console.web.streams import Receive, Send, wait_for_disconnect
from jobs.errors import StoreUnavailable

from .limits import KILOBYTE, MEGABYTE, Account, Full

logger = logging.getLogger(__name__)

Headers = list[tuple[bytes, bytes]]
PART: Final = 64 * KILOBYTE
FILE_PART: Final = 256 * KILOBYTE
# A disk that does not answer stops downloads, and nothing else.
readers = ThreadPoolExecutor(4, "file-reader")


class Gone(Exception):
    """Nobody is there any more who would take the rest."""


class FileWrapper:
    """What Django asks of a server that sends files by itself (`wsgi.file_wrapper`)."""

    def __init__(self, file: IO[bytes], block_size: int = FILE_PART) -> None:
        self.file = file

    def close(self) -> None:
        """Django's own `close` of the answer stands in for the file's."""
        self.file.close()


class Spool:
    """Between a thread that writes and the loop that reads behind it: in memory, then in a temporary file."""

    def __init__(self, loop: asyncio.AbstractEventLoop, account: Account) -> None:
        self._loop, self._account = loop, account
        self._file = SpooledTemporaryFile(max_size=MEGABYTE)  # noqa: SIM115  # closed with the spool
        self._lock, self._news = threading.Lock(), asyncio.Event()
        self._size = 0
        self._has_ended = self._is_whole = self._is_cut = False

    def fill(self, chunks: Iterable[bytes]) -> None:
        """All of them, unless nobody wants them or they are too many; in any case they are closed."""
        try:
            for chunk in chunks:
                self._add(chunk)
            self._is_whole = True
        except Gone:
            logger.info("An answer was not taken to its end")
        except Full:
            logger.warning("An answer was cut off after %d bytes: too much lies here already", self._size)
        except Exception:
            logger.exception("An answer was cut off after %d bytes", self._size)
        finally:
            getattr(chunks, "close", lambda: None)()
            self._has_ended = True
            self._tell()

    def _add(self, chunk: bytes) -> None:
        with self._lock:
            if self._is_cut:
                raise Gone
            if self._size + len(chunk) > self._account.ledger.answer:
                raise Full
            self._account.take(len(chunk))
            self._file.seek(self._size)
            self._file.write(chunk)
            self._size += len(chunk)
        self._tell()

    def _tell(self) -> None:
        with suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(self._news.set)

    async def parts(self) -> AsyncIterator[bytes]:
        """Raises Gone where the rest is missing."""
        at = 0
        while True:
            has_ended = self._has_ended
            while part := self._read(at):
                at += len(part)
                yield part
            if has_ended:
                break
            await self._news.wait()
            self._news.clear()
        if not self._is_whole:
            raise Gone

    def _read(self, at: int) -> bytes:
        with self._lock:
            self._file.seek(at)
            return self._file.read(PART)

    def close(self) -> None:
        with self._lock:
            self._is_cut = True
            self._file.close()
            self._account.close()


@dataclass(frozen=True)
class Answer:
    """`body` is whole, a file, or what a thread is still writing."""

    status: int
    headers: Headers
    body: bytes | FileWrapper | Spool

    @property
    def length(self) -> int | None:
        found = next((value for name, value in self.headers if name == b"content-length"), b"")
        return int(found) if found.isdigit() else None


async def send_answer(answer: Answer, receive: Receive, send: Send) -> None:
    start = {"type": "http.response.start", "status": answer.status, "headers": answer.headers}
    if isinstance(answer.body, bytes):
        await send(start)
        await _send_bytes(answer.body, send)
        return
    leaving = asyncio.ensure_future(wait_for_disconnect(receive))
    try:
        await send(start)
        async with aclosing(_parts(answer)) as parts:
            async for part in parts:
                if leaving.done():
                    return
                await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
    except Gone:
        logger.info("An answer ended before its end; its connection is closed")
    finally:
        leaving.cancel()
        answer.body.close()


async def _send_bytes(body: bytes, send: Send) -> None:
    """In parts: what is handed on is copied once more until it is taken."""
    for at in range(0, max(len(body), 1), PART):
        more = at + PART < len(body)
        await send({"type": "http.response.body", "body": body[at : at + PART], "more_body": more})


def _parts(answer: Answer) -> Any:
    if isinstance(answer.body, Spool):
        return answer.body.parts()
    assert isinstance(answer.body, FileWrapper)
    return file_parts(answer.body.file, answer.length)


async def file_parts(file: IO[bytes], length: int | None) -> AsyncIterator[bytes]:
    """No more than was announced, though the file may have grown. Raises Gone if it has become shorter, or
    cannot be read."""
    read: Callable[[int], bytes] = file.read
    left = length
    while left is None or left > 0:
        wanted = FILE_PART if left is None else min(FILE_PART, left)
        try:
            part = await asyncio.get_running_loop().run_in_executor(readers, read, wanted)
        except (OSError, StoreUnavailable) as error:
            logger.warning("A file could not be read to its end: %s", error)
            raise Gone from error
        if not part:
            break
        left = None if left is None else left - len(part)
        yield part
    if left:
        raise Gone
