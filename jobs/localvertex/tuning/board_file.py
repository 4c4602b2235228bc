"""The metrics of a training as TensorBoard's own event file, which Google's container leaves in a bucket too.

A file is a list of records: length, checksum, protobuf message `Event`, checksum. The few fields are encoded here, so
that nobody needs TensorBoard, which weighs more than this server."""

import math
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path

import google_crc32c

from jobs.localvertex.api.wire import Json

TAGS = {"step": "train", "eval": "eval"}
MEASURES = ("loss", "token_accuracy", "learning_rate")


def write(events: Sequence[Json], path: Path) -> None:
    """Written beside and renamed."""
    messages = [_double(1, events[0]["time"]) + _bytes(3, b"brain.Event:2"), *_messages(events)]
    partial = path.with_name(f".{path.name}")
    partial.write_bytes(b"".join(_record(message) for message in messages))
    partial.replace(path)


def _messages(events: Sequence[Json]) -> Iterator[bytes]:
    for event in events:
        group = TAGS.get(str(event.get("event")))
        if group is not None:
            values = {f"{group}/{name}": float(event[name]) for name in MEASURES if name in event}
            if group == "eval":
                values["eval/perplexity"] = math.exp(min(float(event["loss"]), 100.0))
            summary = b"".join(_bytes(1, _bytes(1, tag.encode()) + _float(2, value)) for tag, value in values.items())
            yield _double(1, float(event["time"])) + _number(2, int(event["step"])) + _bytes(5, summary)


def _record(message: bytes) -> bytes:
    length = struct.pack("<Q", len(message))
    return length + _checksum(length) + message + _checksum(message)


def _checksum(content: bytes) -> bytes:
    """CRC-32C, rotated and shifted as TensorFlow's record format wants it."""
    value = google_crc32c.value(content)
    return struct.pack("<I", ((value >> 15 | value << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def _varint(value: int) -> bytes:
    parts = bytearray()
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*parts, value])


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _double(field: int, value: float) -> bytes:
    return _varint(field << 3 | 1) + struct.pack("<d", value)


def _bytes(field: int, value: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(value)) + value


def _float(field: int, value: float) -> bytes:
    return _varint(field << 3 | 5) + struct.pack("<f", value)
