"""The two formats of weights, written without numpy or torch: small enough to be made in a moment."""

import json
import math
import random
import struct
from array import array
from collections.abc import Iterable, Mapping
from pathlib import Path

ALIGNMENT = 32
SPREAD = 0.02
_TEXT, _NUMBER, _F32 = 8, 4, 0
Shape = tuple[int, ...]


def make_random(shapes: Iterable[tuple[str, Shape]], seed: object) -> dict[str, tuple[Shape, bytes]]:
    """The same weights for the same seed."""
    source = random.Random(repr(seed))  # noqa: S311  # weights, no secret
    return {
        name: (shape, array("f", (source.gauss(0, SPREAD) for _ in range(math.prod(shape)))).tobytes())
        for name, shape in shapes
    }


def write_safetensors(path: Path, tensors: Mapping[str, tuple[Shape, bytes]]) -> None:
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    at = 0
    for name, (shape, content) in tensors.items():
        header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [at, at + len(content)]}
        at += len(content)
    encoded = json.dumps(header).encode()
    encoded += b" " * (-len(encoded) % 8)
    path.write_bytes(struct.pack("<Q", len(encoded)) + encoded + b"".join(content for _, content in tensors.values()))


def write_gguf(path: Path, facts: Mapping[str, str | int], tensors: Mapping[str, tuple[Shape, bytes]]) -> None:
    """Version 3. Shapes are written from the innermost dimension on."""
    out = bytearray(b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(facts)))
    for key, value in facts.items():
        out += _pack_text(key)
        out += struct.pack("<I", _TEXT) + _pack_text(value) if isinstance(value, str) else _pack_number(value)
    at = 0
    for name, (shape, content) in tensors.items():
        sizes = struct.pack(f"<{len(shape)}Q", *reversed(shape))
        out += _pack_text(name) + struct.pack("<I", len(shape)) + sizes + struct.pack("<IQ", _F32, at)
        at += _pad(len(content))
    out += bytes(_pad(len(out)) - len(out))
    for _, content in tensors.values():
        out += content + bytes(_pad(len(content)) - len(content))
    path.write_bytes(out)


def _pack_text(text: str) -> bytes:
    encoded = text.encode()
    return struct.pack("<Q", len(encoded)) + encoded


def _pack_number(number: int) -> bytes:
    return struct.pack("<II", _NUMBER, number)


def _pad(length: int) -> int:
    return -(-length // ALIGNMENT) * ALIGNMENT
