"""The body of a request, all of it or an error: half an upload must not become an object."""

from email.message import Message
from typing import BinaryIO

LONGEST_LINE = 1024


class BadBody(Exception):
    pass


def read_body(stream: BinaryIO, headers: Message) -> bytes:
    if headers.get("Transfer-Encoding", "").lower() == "chunked":
        return b"".join(_chunks(stream))
    length = headers.get("Content-Length", "0")
    if not length.isdecimal():
        raise BadBody("Content-Length is not a number.")
    return _exactly(stream, int(length))


def _chunks(stream: BinaryIO) -> list[bytes]:
    chunks: list[bytes] = []
    while size := _size(stream.readline(LONGEST_LINE)):
        chunks.append(_exactly(stream, size))
        stream.readline(LONGEST_LINE)
    return chunks


def _size(line: bytes) -> int:
    try:
        return int(line.partition(b";")[0], 16)
    except ValueError:
        raise BadBody("The chunks of the body are cut off.") from None


def _exactly(stream: BinaryIO, size: int) -> bytes:
    content = stream.read(size)
    if len(content) != size:
        raise BadBody(f"The body was to be of {size} bytes, and ended after {len(content)}.")
    return content
