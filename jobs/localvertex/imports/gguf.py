"""What a GGUF file says of itself, read within bounds: its architecture, its template, its sizes."""

import struct
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any

from jobs.localvertex.api.errors import ApiError, precondition

MAX_HEADER = 256 * 2**20
MAX_KEYS, MAX_TENSORS = 10_000, 2**16
# In all lists together. The largest vocabulary has 262,144 tokens, and half a million merges of them.
MAX_TEXTS = 2**21
MAX_TEXT = 16 * 2**20
MAX_DIMENSIONS = 4
VERSIONS = (2, 3)
SCALARS = {
    0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d",
}  # fmt: skip
TEXT, LIST = 8, 9
KEPT = ("general.architecture", "general.name", "tokenizer.chat_template", "general.type")


@dataclass(frozen=True)
class GgufFacts:
    architecture: str
    has_template: bool
    context_tokens: int
    is_projector: bool = False


class Damaged(Exception):
    pass


class Header:
    """Reads no more than MAX_HEADER bytes and MAX_TEXTS of lists, and nothing behind the end of the file."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._bytes_left, self._texts_left = MAX_HEADER, MAX_TEXTS

    def take(self, count: int) -> bytes:
        if count > MAX_TEXT or count > self._bytes_left:
            raise Damaged("its header is far larger than that of a model")
        self._bytes_left -= count
        found = self._file.read(count)
        if len(found) != count:
            raise Damaged("it ends in the middle of its header")
        return found

    def number(self, form: str) -> Any:
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def text(self) -> str:
        return self.take(self.number("<Q")).decode("utf-8", "replace")

    def value(self, kind: int) -> Any:
        if kind in SCALARS:
            return self.number(SCALARS[kind])
        if kind == TEXT:
            return self.text()
        if kind != LIST:
            raise Damaged(f"it has a value of the unknown kind {kind}")
        inner, count = self.number("<I"), self.number("<Q")
        if inner in SCALARS:
            size = struct.calcsize(SCALARS[inner]) * count
            if size > self._bytes_left:
                raise Damaged("its header is far larger than that of a model")
            while size:
                size -= len(self.take(min(size, MAX_TEXT)))
            return None
        if inner != TEXT:
            raise Damaged("it has a list of lists")
        self._skip_texts(count)
        return None

    def _skip_texts(self, count: int) -> None:
        if count > self._texts_left:
            raise Damaged(f"its lists have more than {MAX_TEXTS:,} texts, far more than a vocabulary")
        self._texts_left -= count
        for _ in range(count):
            self.take(int.from_bytes(self.take(8), "little"))


def read_gguf(path: Path) -> GgufFacts:
    """Raises ApiError with a sentence for a damaged file, or an architecture that llama.cpp does not know."""
    try:
        with path.open("rb") as file:
            facts = _read(Header(file), path.stat().st_size)
    except Damaged as error:
        raise precondition(
            f"{path.name} is no whole GGUF file: {error}. Download it again from its publisher."
        ) from None
    if not facts.is_projector:
        check_architecture(facts.architecture, path.name)
    return facts


def _read(header: Header, size: int) -> GgufFacts:
    if header.take(4) != b"GGUF":
        raise Damaged("it does not begin as one")
    version = header.number("<I")
    if version not in VERSIONS:
        raise Damaged(f"its version {version} is not known here")
    tensors, keys = header.number("<Q"), header.number("<Q")
    if keys > MAX_KEYS or not 0 < tensors <= MAX_TENSORS:
        raise Damaged(f"it says that it has {tensors} tensors and {keys} keys")
    found: dict[str, Any] = {}
    for _ in range(keys):
        name, kind = header.text(), header.number("<I")
        value = header.value(kind)
        if name in KEPT or name.endswith(".context_length"):
            found[name] = value
    furthest = max(_offset(header) for _ in range(tensors))
    if furthest >= size:
        raise Damaged("it has weights behind its end")
    architecture = str(found.get("general.architecture", ""))
    length = found.get(f"{architecture}.context_length")
    is_projector = architecture == "clip" or found.get("general.type") == "mmproj"
    template = bool(found.get("tokenizer.chat_template"))
    return GgufFacts(architecture, template, length if type(length) is int else 0, is_projector)


def _offset(header: Header) -> int:
    header.text()
    dimensions = header.number("<I")
    if dimensions > MAX_DIMENSIONS:
        raise Damaged(f"it has a tensor of {dimensions} dimensions")
    header.take(8 * dimensions + 4)
    return int(header.number("<Q"))


def check_architecture(name: str, file: str) -> None:
    """By the list of the `gguf` package, where it is installed: it is llama.cpp's own."""
    if find_spec("gguf") is None:
        return
    from gguf.constants import MODEL_ARCH_NAMES  # noqa: PLC0415  # brings NumPy

    if name not in MODEL_ARCH_NAMES.values():
        raise unknown_architecture(name, file)


def unknown_architecture(name: str, file: str) -> ApiError:
    return precondition(
        f"{file} is a model of the architecture {name[:60]!r}, which the llama.cpp of this server does not know. Choose"
        " another model, or update this program."
    )
