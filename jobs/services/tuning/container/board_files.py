"""Reads TensorBoard's event files, which a training leaves in its folder.

A file is a list of records: length, checksum, protobuf message `Event`, checksum. It is written by a program that the
console does not trust: whatever is not whole or makes no sense ends the reading, and what was read until then counts.
"""

import struct
from collections.abc import Iterator
from datetime import UTC, datetime

from jobs.vertex.moments import drop_impossible
from jobs.vertex.values import Point

HEAD, TAIL = 12, 4
LONGEST_RECORD = 2**20
MOST_SERIES = 50
Field = tuple[int, int | bytes]


def read_points(data: bytes) -> dict[str, list[Point]]:
    """Every series of one file by the name that it has there, in the order of its steps; of a step that is there twice,
    the last."""
    found: dict[str, dict[int, Point]] = {}
    try:
        for record in _records(data):
            for tag, point in _values(record):
                if tag in found or len(found) < MOST_SERIES:
                    found.setdefault(tag, {})[point.step] = point
    except (ValueError, struct.error, OverflowError, OSError):
        pass
    return {tag: [points[step] for step in sorted(points)] for tag, points in found.items()}


def _records(data: bytes) -> Iterator[bytes]:
    place = 0
    while place + HEAD <= len(data):
        (length,) = struct.unpack_from("<Q", data, place)
        place += HEAD
        if length > LONGEST_RECORD or place + length + TAIL > len(data):
            return
        yield data[place : place + length]
        place += length + TAIL


def _values(record: bytes) -> Iterator[tuple[str, Point]]:
    time, step, summary = 0.0, 0, b""
    for number, value in _fields(record):
        if number == 1 and isinstance(value, bytes):
            (time,) = struct.unpack("<d", value)
        elif number == 2 and isinstance(value, int):  # noqa: PLR2004
            step = value
        elif number == 5 and isinstance(value, bytes):  # noqa: PLR2004
            summary = value
    at = drop_impossible(datetime.fromtimestamp(time, UTC)) if summary else None
    if at is None:
        return
    for number, value in _fields(summary):
        if number == 1 and isinstance(value, bytes):
            tag, measured = _scalar(value)
            if tag and measured is not None:
                yield tag, Point(step, measured, at)


def _scalar(message: bytes) -> tuple[str, float | None]:
    """Tag and value; no value for an image or the like."""
    tag, measured = "", None
    for number, value in _fields(message):
        if number == 1 and isinstance(value, bytes):
            tag = value.decode("utf-8", "replace")
        elif number == 2 and isinstance(value, bytes):  # noqa: PLR2004
            (measured,) = struct.unpack("<f", value)
    return tag, measured


def _fields(message: bytes) -> Iterator[Field]:
    """Number and content of each field; those of fixed width as bytes."""
    place = 0
    while place < len(message):
        key, place = _varint(message, place)
        number, kind = key >> 3, key & 7
        if kind == 0:
            value, place = _varint(message, place)
            yield number, value
            continue
        length = {1: 8, 5: 4}.get(kind)
        if kind == 2:  # noqa: PLR2004
            length, place = _varint(message, place)
        if length is None or place + length > len(message):
            raise ValueError(kind)
        yield number, message[place : place + length]
        place += length


def _varint(message: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while place < len(message) and shift < 64:  # noqa: PLR2004
        byte = message[place]
        value |= (byte & 0x7F) << shift
        place, shift = place + 1, shift + 7
        if byte < 0x80:  # noqa: PLR2004
            return value, place
    raise ValueError(place)


def is_event_file(name: str) -> bool:
    return "events.out.tfevents." in name


def merge(series: dict[str, list[Point]], more: dict[str, list[Point]]) -> dict[str, list[Point]]:
    """Of a step that both have, the later one: a training that was taken up again repeats some."""
    merged = {}
    for tag in [*series, *(tag for tag in more if tag not in series)]:
        points: dict[int, Point] = {}
        for point in [*series.get(tag, []), *more.get(tag, [])]:
            known = points.get(point.step)
            if known is None or known.wall_time <= point.wall_time:
                points[point.step] = point
        merged[tag] = [points[step] for step in sorted(points)]
    return merged
