"""What serving a model takes, from the headers of its files: known before anything is loaded."""

import os
import struct
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO

from jobs.localvertex.memory.free import whole_memory

MEGABYTE = 1024 * 1024
# Python with llama.cpp, 16-bit keys and values, and the tokens that are computed at a time.
PROCESS_BYTES = 50 * MEGABYTE
CACHE_BYTES = 2
BATCH = 512
_NUMBERS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_TEXT, _LIST = 8, 9
_LONGEST_TEXT = 1 << 20
MOST_VALUES = 1 << 20  # before the vocabulary, those of lists among them: half a million merges may be there


def need(model: str, mmproj: str | None, adapter: str | None, *, context: int, slots: int) -> int:
    """Bytes: all files, the cache of `slots` conversations of `context` tokens, and room to compute.

    Children of one base model share its pages, so the sum over them is an upper bound."""
    files = sum(measure_file(path) for path in (model, mmproj, adapter) if path)
    facts = _facts(Path(model))
    working = _cache(facts, context, slots) + _computing(facts, slots)
    if mmproj:
        working += _image(_facts(Path(mmproj)))
    return files + working + PROCESS_BYTES


def file_type(model: Path) -> int | None:
    """`general.file_type` of a GGUF file: in which numbers most of it is."""
    return _facts(model).get("file_type")


def half_of_this_machine() -> int:
    """Of what a container may use, when there is a limit."""
    physical = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return min(physical, whole_memory() or physical) // 2


def measure_file(path: str | Path) -> int:
    """0 of what is not there, or was taken away a moment ago."""
    try:
        return Path(path).stat().st_size
    except OSError:
        return 0


def _cache(facts: dict[str, Any], context: int, slots: int) -> int:
    """llama.cpp keeps a window of the layers that look back only so far: five of six in Gemma 3."""
    layers, heads = facts.get("block_count", 0), facts.get("attention.head_count_kv", 0)
    head = facts.get("embedding_length", 0) // (facts.get("attention.head_count") or 1)
    key, value = facts.get("attention.key_length", head), facts.get("attention.value_length", head)
    window = facts.get("attention.sliding_window", 0)
    near = layers * 5 // 6 if window and facts.get("architecture") == "gemma3" else 0
    tokens = (layers - near) * context * slots + near * min(context * slots, window * slots + BATCH)
    tokens += near * slots * (window + BATCH)  # one checkpoint a conversation
    return int(tokens * heads * (key + value) * CACHE_BYTES)


def _computing(facts: dict[str, Any], slots: int) -> int:
    width, inner = facts.get("embedding_length", 0), facts.get("feed_forward_length", 0)
    probabilities = 16 * facts.get("vocabulary", 0) * slots
    return int(4 * BATCH * (8 * width + 3 * inner) + probabilities)


def _image(facts: dict[str, Any]) -> int:
    side, patch = facts.get("vision.image_size", 0), facts.get("vision.patch_size") or 1
    width, inner = facts.get("vision.embedding_length", 0), facts.get("vision.feed_forward_length", 0)
    return int(4 * (side // patch) ** 2 * (8 * width + 3 * inner))


def _facts(path: Path) -> dict[str, Any]:
    try:
        status = path.stat()
        return _read(path, status.st_mtime_ns, status.st_size)
    except OSError:
        return {}


@lru_cache(maxsize=64)
def _read(path: Path, _changed: int, _size: int) -> dict[str, Any]:
    """The header's whole numbers without the architecture's prefix, `architecture`, and the length of the `vocabulary`;
    nothing of what is no GGUF file."""
    try:
        with path.open("rb") as file:
            return _Header(file).read()
    except (ValueError, struct.error):
        return {}


class _Header:
    """Raises ValueError or struct.error for what is no GGUF file, or has no end."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._left = file, MOST_VALUES

    def read(self) -> dict[str, Any]:
        facts: dict[str, Any] = {}
        if self._file.read(4) != b"GGUF":
            raise ValueError
        _version, _tensors, count = struct.unpack("<IQQ", self._file.read(20))
        self._count(count)
        for _ in range(count):
            key = _text(self._file)
            (kind,) = struct.unpack("<I", self._file.read(4))
            if key == "tokenizer.ggml.tokens":
                facts["vocabulary"] = struct.unpack("<IQ", self._file.read(12))[1]
                return facts
            value = self._value(kind)
            if type(value) is int or key == "general.architecture":  # of a stranger's file, anything may be a text
                facts[key.partition(".")[2]] = value
        return facts

    def _value(self, kind: int) -> Any:
        """Of a list: its largest value, for numbers that differ between layers. llama.cpp reads no lists of lists."""
        if kind != _LIST:
            return _single(self._file, kind)
        inner, count = struct.unpack("<IQ", self._file.read(12))
        self._count(count)
        return max((_single(self._file, inner) for _ in range(count)), default=0)

    def _count(self, values: int) -> None:
        self._left -= values
        if self._left < 0:
            raise ValueError(values)


def _single(file: BinaryIO, kind: int) -> Any:
    return _text(file) if kind == _TEXT else _number(file, kind)


def _number(file: BinaryIO, kind: int) -> Any:
    form = _NUMBERS.get(kind)
    if form is None:
        raise ValueError(kind)
    return struct.unpack(f"<{form}", file.read(struct.calcsize(form)))[0]


def _text(file: BinaryIO) -> str:
    (length,) = struct.unpack("<Q", file.read(8))
    if length > _LONGEST_TEXT:
        raise ValueError(length)
    return file.read(length).decode("utf-8", "replace")
