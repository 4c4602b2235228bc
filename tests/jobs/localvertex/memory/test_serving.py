import struct

import pytest
from gguf import GGUFValueType, GGUFWriter

from jobs.localvertex.memory import serving as memory
from jobs.localvertex.memory.serving import MEGABYTE, PROCESS_BYTES
from tests.jobs.localvertex.servers import ROOT

TINY = ROOT / "tests/fixtures/tiny-gemma3/model.gguf"
VISION = ROOT / "jobs/localvertex/models/shapes_and_colours"
TYPES = {
    str: GGUFValueType.STRING,
    int: GGUFValueType.UINT32,
    float: GGUFValueType.FLOAT32,
    list: GGUFValueType.ARRAY,
}


def need(model, mmproj=None, adapter=None, context=8192, slots=4):
    return memory.need(str(model), mmproj and str(mmproj), adapter and str(adapter), context=context, slots=slots)


def gguf(path, **facts):
    """A header of whole numbers, and no tensors."""
    body = b"".join(
        struct.pack("<Q", len(key)) + key.encode() + struct.pack("<II", 4, value)
        for key, value in {f"gemma3.{name}": value for name, value in facts.items()}.items()
    )
    path.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 0, len(facts)) + body)
    return path


def test_files_count_in_full(tmp_path):
    adapter = tmp_path / "adapter.gguf"
    adapter.write_bytes(b"x" * 1000)
    assert need(TINY, adapter=adapter) - need(TINY) == 1000
    with_eyes = need(VISION / "model.gguf", VISION / "mmproj.gguf") - need(VISION / "model.gguf")
    assert with_eyes > (VISION / "mmproj.gguf").stat().st_size


def test_the_cache_grows_with_the_conversations(tmp_path):
    """Two layers, one head of 64 + 64 numbers of two bytes."""
    facts = {"block_count": 2, "attention.head_count_kv": 1, "attention.key_length": 64, "attention.value_length": 64}
    model = gguf(tmp_path / "model.gguf", **facts)
    assert need(model, slots=1) - model.stat().st_size - PROCESS_BYTES == 2 * 256 * 8192
    assert need(model, slots=4) - need(model, slots=1) == 3 * 2 * 256 * 8192


def test_heads_share_the_width_where_the_file_does_not_tell_their_size(tmp_path):
    """As in a Llama: 576 numbers for 9 heads are 64 for each."""
    facts = {"block_count": 30, "attention.head_count_kv": 3, "attention.head_count": 9, "embedding_length": 576}
    model = gguf(tmp_path / "model.gguf", **facts)
    assert need(model, slots=4) - need(model, slots=1) == 3 * 30 * 3 * 256 * 8192


@pytest.mark.parametrize("content", [b"", b"nonsense", b"GGUF" + b"\xff" * 60, b"GGUF" + struct.pack("<IQQ", 3, 0, 9)])
def test_a_file_that_is_no_gguf_is_its_size(tmp_path, content):
    path = tmp_path / "model.gguf"
    path.write_bytes(content)
    assert need(path) == len(content) + PROCESS_BYTES


@pytest.mark.parametrize("value", ["many", 0, float("nan"), ["x", "y"]])
def test_what_is_no_whole_number_says_nothing(tmp_path, value):
    """Whoever made the file may have written anything."""
    path = tmp_path / "model.gguf"
    writer = GGUFWriter(str(path), "clip")
    for key in ("clip.block_count", "clip.embedding_length", "clip.vision.patch_size", "clip.vision.image_size"):
        writer.add_key_value(key, value, TYPES[type(value)])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    assert need(path, mmproj=path) == 2 * path.stat().st_size + PROCESS_BYTES


@pytest.mark.parametrize("lists", [1, 2])
def test_lists_that_take_minutes_to_read_are_not_read(tmp_path, lists):
    """However many there are."""
    values = 2**20 // lists + 1
    path = gguf(tmp_path / "model.gguf", block_count=2, embedding_length=64)
    known = need(path) - path.stat().st_size
    key = b"gemma3.list"
    with path.open("r+b") as file:
        file.write(b"GGUF" + struct.pack("<IQQ", 3, 0, 2 + lists))
        file.seek(0, 2)
        file.write((struct.pack("<Q", len(key)) + key + struct.pack("<IIQ", 9, 0, values) + bytes(values)) * lists)
    assert (need(path) - path.stat().st_size, known > PROCESS_BYTES) == (PROCESS_BYTES, True)


@pytest.mark.parametrize(
    "inner",
    [
        pytest.param(struct.pack("<IQ", 9, 1) * 10_000, id="deep"),
        pytest.param(struct.pack("<IQ", 4, 0) + struct.pack("<IQQ", 8, 1, 1) + b"x", id="numbers and texts"),
    ],
)
def test_lists_of_lists_say_nothing(tmp_path, inner):
    path = tmp_path / "model.gguf"
    key = b"gemma3.list"
    setting = struct.pack("<Q", len(key)) + key + struct.pack("<IIQ", 9, 9, 2) + inner
    path.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + setting)
    assert need(path) == path.stat().st_size + PROCESS_BYTES


def test_no_file(tmp_path):
    assert need(tmp_path / "none.gguf") == PROCESS_BYTES


def test_this_machine():
    assert memory.half_of_this_machine() > 256 * MEGABYTE
