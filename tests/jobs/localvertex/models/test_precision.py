"""Which precision is exact enough and fits, and how large files become before they are made."""

import json
import shutil
from pathlib import Path

import pytest

from jobs.localvertex.models.precision import SMALLEST_FIRST, choose_kind, estimate_sizes
from tests.jobs.localvertex.servers import TINY_FOLDER

GB = 10**9


@pytest.mark.parametrize(
    ("size", "memory", "kind"),
    [
        (GB // 2, 10 * GB, "f16"),  # nothing to be gained
        (GB, 10 * GB, "q8_0"),
        (8 * GB, 10 * GB, "q8_0"),
        (16 * GB, 10 * GB, "q4_k_m"),
        (60 * GB, 10 * GB, "q4_k_m"),  # fits nowhere, and is refused with the least that it needs
        (GB // 2, GB // 2, "q8_0"),
        (0, GB, "f16"),
    ],
)
def test_the_most_exact_that_fits_without_bits_that_nobody_notices(size: int, memory: int, kind: str) -> None:
    assert choose_kind(size, memory) == kind


def write_header(path: Path, **shapes: list[int]) -> None:
    header = json.dumps({name: {"dtype": "BF16", "shape": shape} for name, shape in shapes.items()}).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header)


def test_sizes_follow_the_formats_of_llama_cpp(tmp_path: Path) -> None:
    shapes = {"norm": [10], "embed_tokens": [100, 256], "mlp.up_proj": [50, 512], "vision_tower.x": [9, 9]}
    write_header(tmp_path / "model.safetensors", **shapes)
    assert estimate_sizes(tmp_path) == {
        "f16": 40 + 2 * 25_600 + 2 * 25_600,
        "q8_0": 40 + 27_200 + 27_200,
        "q4_k_m": 40 + 100 * 210 + 100 * 144,
    }


def test_rows_that_are_no_whole_blocks_keep_more_bits(tmp_path: Path) -> None:
    write_header(tmp_path / "model.safetensors", **{"lm_head": [64, 64], "q_proj": [64, 64], "v_proj": [64, 64]})
    assert estimate_sizes(tmp_path)["q4_k_m"] == 4352 + 2816 + (4352 + 2816) / 2


@pytest.mark.parametrize("content", [b"", b"\x08\0\0\0\0\0\0\0[1, 2, 3", b"\xff" * 16])
def test_a_file_that_is_none_tells_nothing(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(content)
    assert (estimate_sizes(tmp_path), estimate_sizes(tmp_path / "nowhere")) == ({}, {})


def test_a_file_that_changes_is_read_anew(tmp_path: Path) -> None:
    shutil.copy(TINY_FOLDER / "model.safetensors", tmp_path)
    first = estimate_sizes(tmp_path)
    assert (list(first), first["f16"] > first["q8_0"] > first["q4_k_m"] > 0) == (list(SMALLEST_FIRST), True)
    write_header(tmp_path / "model.safetensors", norm=[2])
    assert estimate_sizes(tmp_path) == dict.fromkeys(SMALLEST_FIRST, 8)
