"""The precisions in which a model can be served: their names, how large a file becomes, and which is exact enough."""

from collections.abc import Iterator
from functools import lru_cache
from math import prod
from pathlib import Path

from jobs.localvertex.memory.headers import read_header

MEGABYTE = 2**20
SMALLEST_FIRST = ("q4_k_m", "q8_0", "f16")
NAMES = {"q4_k_m": "Q4_K_M", "q8_0": "Q8_0", "f16": "F16"}
# `general.file_type` of a GGUF file.
FILE_TYPES = {
    0: "f32", 1: "f16", 2: "q4_0", 3: "q4_1", 7: "q8_0", 8: "q5_0", 9: "q5_1", 10: "q2_k", 11: "q3_k_s", 12: "q3_k_m",
    13: "q3_k_l", 14: "q4_k_s", 15: "q4_k_m", 16: "q5_k_s", 17: "q5_k_m", 18: "q6_k", 25: "iq4_nl", 30: "iq4_xs",
    32: "bf16", 38: "mxfp4",
}  # fmt: skip
# Up to here nothing is gained by fewer bits, and a small model loses most by them.
SMALL = 512 * MEGABYTE
# Files beside the cache of conversations and room to compute.
SHARE_OF_MEMORY = 0.8
# Bytes a number, with the scales of its block. The last four are in files of Q4_K_M: in pairs, what gets more bits and
# what does not, for rows of whole blocks and for others.
F32, F16, Q8_0, Q6_K, Q4_K, Q5_0 = 4.0, 2.0, 34 / 32, 210 / 256, 144 / 256, 22 / 32
BLOCK, MATRIX = 256, 2
WITH_MORE_BITS = ("embed_tokens", "lm_head")
HALF_WITH_MORE_BITS = ("v_proj", "down_proj")


def choose_kind(size: int, memory: int) -> str:
    """For a model of `size` bytes in F16 on a machine whose models may take `memory` bytes altogether."""
    sizes = {"f16": size, "q8_0": size * Q8_0 / F16, "q4_k_m": size * Q4_K / F16}
    kinds = ("f16", "q8_0", "q4_k_m") if size <= SMALL else ("q8_0", "q4_k_m")
    return next((kind for kind in kinds if sizes[kind] <= memory * SHARE_OF_MEMORY), "q4_k_m")


def estimate_sizes(folder: Path) -> dict[str, int]:
    """Bytes of the GGUF file of each kind, about, by the headers of the weights. Empty where they cannot be read."""
    try:
        stamps = tuple((path, path.stat().st_mtime_ns) for path in sorted(folder.glob("*.safetensors")))
        return dict(_estimate(stamps))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


@lru_cache(maxsize=128)
def _estimate(stamps: tuple[tuple[Path, int], ...]) -> dict[str, int]:
    """Anew when a file has changed."""
    tensors = [tensor for path, _changed in stamps for tensor in _tensors(path)]
    if not tensors:
        return {}
    return {
        kind: round(sum(prod(shape) * _bytes(kind, name, shape) for name, shape in tensors)) for kind in SMALLEST_FIRST
    }


def _tensors(path: Path) -> Iterator[tuple[str, list[int]]]:
    """Of the language model: what sees is a file of its own."""
    for name, one in read_header(path)[1].items():
        if "vision_tower" not in name and "multi_modal_projector" not in name:
            yield name, one["shape"]


def _bytes(kind: str, name: str, shape: list[int]) -> float:
    if len(shape) < MATRIX:
        return F32
    if kind != "q4_k_m":
        return F16 if kind == "f16" else Q8_0
    few, many = (Q4_K, Q6_K) if shape[-1] % BLOCK == 0 else (Q5_0, Q8_0)
    if any(part in name for part in WITH_MORE_BITS):
        return many
    return (few + many) / 2 if any(part in name for part in HALF_WITH_MORE_BITS) else few
