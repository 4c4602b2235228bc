from pathlib import Path

import gguf
import numpy as np
import pytest
from gguf import GGMLQuantizationType as Kind

from jobs.localvertex.engine.export import k_quants
from jobs.localvertex.engine.job import JobError


@pytest.mark.parametrize(("kind", "most"), [(Kind.Q4_K, 0.09), (Kind.Q6_K, 0.02)])
def test_what_llama_cpp_writes_is_read_as_nearly_the_same_numbers(kind: Kind, most: float) -> None:
    rows = np.random.default_rng(7).normal(size=(5, 512)).astype(np.float32)
    read = gguf.dequantize(k_quants.quantize(rows, kind), kind)
    error = float(np.sqrt(np.mean((read - rows) ** 2) / np.mean(rows**2)))
    assert (read.shape, 0 < error < most) == (rows.shape, True)


@pytest.mark.parametrize(
    ("target", "length", "has_output", "kind"),
    [
        ("token_embd.weight", 2560, False, Kind.Q6_K),
        ("token_embd.weight", 2560, True, Kind.Q4_K),
        ("output.weight", 2560, True, Kind.Q6_K),
        ("token_embd.weight", 640, False, Kind.Q8_0),
        ("blk.0.attn_q.weight", 2560, False, Kind.Q4_K),
        ("blk.0.attn_q.weight", 640, False, Kind.Q5_0),
        ("blk.0.attn_v.weight", 2560, False, Kind.Q6_K),
        ("blk.4.attn_v.weight", 2560, False, Kind.Q4_K),
        ("blk.6.ffn_down.weight", 10240, False, Kind.Q6_K),
        ("blk.7.ffn_down.weight", 10240, False, Kind.Q4_K),
        ("blk.33.ffn_down.weight", 10240, False, Kind.Q6_K),
        ("blk.33.ffn_up.weight", 2560, False, Kind.Q4_K),
    ],
)
def test_each_tensor_gets_what_llama_cpp_gives_it(target: str, length: int, has_output: bool, kind: Kind) -> None:
    assert k_quants.kind_in_q4_k_m(target, length, 34, has_output) == kind


def test_a_llama_cpp_that_cannot_says_what_to_use(tmp_path: Path) -> None:
    with pytest.raises(JobError, match=r"cannot quantize to Q4_K_M\. Use Q8_0 or F16\."):
        k_quants.open_library(tmp_path)
