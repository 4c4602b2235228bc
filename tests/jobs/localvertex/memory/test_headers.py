import json
from pathlib import Path

import pytest

from jobs.localvertex.memory.headers import MAX_HEADER, read_header


def write(folder: Path, content: bytes, length: int | None = None) -> Path:
    path = folder / "model.safetensors"
    path.write_bytes((len(content) if length is None else length).to_bytes(8, "little") + content)
    return path


def test_tensors_are_named_and_the_metadata_is_none(tmp_path):
    tensor = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
    content = json.dumps({"__metadata__": {"format": "pt"}, "a": tensor}).encode()
    assert read_header(write(tmp_path, content)) == (len(content), {"a": tensor})


@pytest.mark.parametrize(
    ("content", "length", "why"),
    [
        (b"", None, "Expecting value"),
        (b"{", None, "Expecting property name"),
        (b"[]", None, "is no object"),
        (b"[" * 100_000, None, "is nested too deeply"),
        (b"{}", MAX_HEADER + 1, "is too long"),
    ],
)
def test_what_is_no_header_is_one_kind_of_error(tmp_path, content, length, why):
    with pytest.raises(ValueError, match=why):
        read_header(write(tmp_path, content, length))
