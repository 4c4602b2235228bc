"""Whether others read what is written here without their libraries."""

import numpy as np
from gguf import GGUFReader
from safetensors import safe_open

from jobs.localvertex.instant.files import make_random, write_gguf, write_safetensors

SHAPES = (("one", (2, 3)), ("two", (5,)))


def test_the_same_seed_gives_the_same_weights():
    assert make_random(SHAPES, 1) == make_random(SHAPES, 1)
    assert make_random(SHAPES, 1) != make_random(SHAPES, 2)


def test_safetensors_reads_them(tmp_path):
    tensors = make_random(SHAPES, 1)
    write_safetensors(tmp_path / "it.safetensors", tensors)
    with safe_open(tmp_path / "it.safetensors", framework="np") as found:
        assert {name: found.get_tensor(name).shape for name in found.keys()} == dict(SHAPES)  # noqa: SIM118
        assert found.get_tensor("one").tobytes() == tensors["one"][1]


def test_gguf_reads_them(tmp_path):
    tensors = make_random(SHAPES, 1)
    write_gguf(tmp_path / "it.gguf", {"general.architecture": "gemma3", "gemma3.block_count": 1}, tensors)
    found = GGUFReader(tmp_path / "it.gguf")
    assert found.fields["gemma3.block_count"].contents() == 1
    assert {tensor.name: np.array(tensor.data).shape for tensor in found.tensors} == dict(SHAPES)
    assert np.array(found.tensors[0].data).tobytes() == tensors["one"][1]
