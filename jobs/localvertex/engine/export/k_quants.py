"""Quantization in llama.cpp's K formats, by llama.cpp itself: the package that serves models here brings its library,
and gguf can read these formats but not write them.

Which tensor gets which format in a file of the type Q4_K_M is llama.cpp's choice (`llama_tensor_get_type` in
src/llama-quant.cpp).
"""

import ctypes
import re
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType

from jobs.localvertex.engine.job import JobError

Quantization = GGMLQuantizationType
# What llama.cpp takes for rows that are not as long as the blocks of a format.
WITHOUT_BLOCKS = {Quantization.Q4_K: Quantization.Q5_0, Quantization.Q6_K: Quantization.Q8_0}


@cache
def library() -> ctypes.CDLL:
    spec = find_spec("xllamacpp")
    return open_library(Path(spec.origin).parent if spec and spec.origin else Path())


def open_library(folder: Path) -> ctypes.CDLL:
    """Raises JobError where there is none that quantizes."""
    for path in sorted(folder.glob("xllamacpp*.so")):
        found = ctypes.CDLL(str(path))
        if hasattr(found, "ggml_quantize_chunk"):
            found.ggml_quantize_chunk.restype = ctypes.c_size_t
            found.ggml_quantize_chunk.argtypes = [
                ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p,
                ctypes.c_int64, ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p,
            ]  # fmt: skip
            return found
    raise JobError("The llama.cpp of this installation cannot quantize to Q4_K_M. Use Q8_0 or F16.")


def quantize(rows: np.ndarray, kind: Quantization) -> np.ndarray:
    """`rows` of 32-bit numbers, one shape [rows, numbers]; returns [rows, bytes]."""
    numbers = np.ascontiguousarray(rows, np.float32)
    block, size = GGML_QUANT_SIZES[kind]
    count, length = numbers.shape
    out = np.empty((count, length // block * size), np.uint8)
    written = library().ggml_quantize_chunk(kind.value, numbers.ctypes.data, out.ctypes.data, 0, count, length, None)
    if written != out.nbytes:
        raise JobError(f"llama.cpp wrote {written:,} bytes of a tensor where {out.nbytes:,} were expected.")
    return out


def kind_in_q4_k_m(target: str, length: int, layers: int, has_output: bool) -> Quantization:
    """Of the tensor that llama.cpp calls `target`, whose rows have `length` numbers."""
    kind = Quantization.Q6_K if _gets_more_bits(target, layers, has_output) else Quantization.Q4_K
    return kind if length % GGML_QUANT_SIZES[kind][0] == 0 else WITHOUT_BLOCKS[kind]


def _gets_more_bits(target: str, layers: int, has_output: bool) -> bool:
    """The vocabulary that the answer is read from, and half of the layers where it shows most."""
    if target == ("output.weight" if has_output else "token_embd.weight"):
        return True
    found = re.fullmatch(r"blk\.(\d+)\.(attn_v|ffn_down)\.weight", target)
    if not found:
        return False
    layer, eighth = int(found[1]), layers // 8
    return layer < eighth or layer >= 7 * layers // 8 or (layer - eighth) % 3 == 2
