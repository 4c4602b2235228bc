"""GGUF files that are damaged, or say what would take all memory to read."""

import struct

import pytest

from jobs.localvertex.api.errors import ApiError
from jobs.localvertex.imports.gguf import read_gguf
from tests.jobs.localvertex.imports.conftest import make_gguf


def refusal(path) -> str:
    with pytest.raises(ApiError) as found:
        read_gguf(path)
    return found.value.message


def put(tmp_path, content: bytes):
    path = tmp_path / "m.gguf"
    path.write_bytes(content)
    return path


def test_what_a_file_says_is_read(tmp_path):
    content = make_gguf(tmp_path, "llama", **{"tokenizer.chat_template": "{{ x }}"})
    found = read_gguf(put(tmp_path, content))
    assert (found.architecture, found.has_template, found.context_tokens, found.is_projector) == (
        "llama", True, 4096, False,
    )  # fmt: skip
    assert read_gguf(put(tmp_path, make_gguf(tmp_path, "clip"))).is_projector


def test_the_architectures_are_llama_cpps(tmp_path):
    assert "the architecture 'quantum', which the llama.cpp of this server does not know" in refusal(
        put(tmp_path, make_gguf(tmp_path, "quantum"))
    )


def key(name: str, kind: int, value: bytes) -> bytes:
    return struct.pack("<Q", len(name)) + name.encode() + struct.pack("<I", kind) + value


def header(tensors: int = 1, keys: int = 1, version: int = 3) -> bytes:
    return b"GGUF" + struct.pack("<IQQ", version, tensors, keys)


FEW = struct.pack("<IQ", 8, 3) + bytes(3 * 8)
BEHIND = struct.pack("<Q", 1) + b"t" + struct.pack("<IQIQ", 1, 4, 0, 2**40)
WIDE = struct.pack("<Q", 1) + b"t" + struct.pack("<I", 2**31)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "it ends in the middle"),
        (b"PK\x03\x04" + bytes(40), "it does not begin as one"),
        (header(version=99), "its version 99 is not known here"),
        (header(tensors=0), "it says that it has 0 tensors"),
        (header(tensors=2**60), "it says that it has"),
        (header(tensors=2**16 + 1), "it says that it has 65537 tensors and 1 keys"),
        (header(keys=2**60), "it says that it has"),
        (header() + struct.pack("<Q", 2**60), "far larger than that of a model"),
        (header() + key("a", 8, struct.pack("<Q", 2**40)), "far larger than that of a model"),
        (header() + key("a", 9, struct.pack("<IQ", 4, 2**50)), "far larger than that of a model"),
        (header() + key("a", 9, struct.pack("<IQ", 8, 2**50)), "more than 2,097,152 texts, far more than a vocabulary"),
        (
            header(keys=2) + key("a", 9, FEW) + key("b", 9, struct.pack("<IQ", 8, 2**21 - 2)),
            "more than 2,097,152 texts",
        ),
        (header() + key("a", 9, struct.pack("<IQ", 8, 2**20)), "it ends in the middle"),
        (header() + key("a", 9, struct.pack("<IQ", 9, 1)), "it has a list of lists"),
        (header() + key("a", 77, b""), "the unknown kind 77"),
        (header(keys=0) + WIDE, "a tensor of 2147483648 dimensions"),
        (header(keys=0) + BEHIND, "it has weights behind its end"),
    ],
)
def test_a_damaged_file_is_a_sentence(tmp_path, content, why):
    said = refusal(put(tmp_path, content))
    assert (said.startswith("m.gguf is no whole GGUF file: "), why in said) == (True, True)
    assert said.endswith("Download it again from its publisher.")
