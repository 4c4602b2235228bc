"""In which numbers a base model is multiplied."""

import time
from pathlib import Path

import pytest
import torch

from jobs.localvertex.engine.model import dtype_of_base, multiplies_bf16
from tests.support.running import TINY_MODEL


def seconds(dtype: torch.dtype) -> float:
    """Of the product that a step spends most of its time with; the quickest of several."""
    grad, weight = torch.randn(64, 1024).to(dtype), torch.randn(1024, 512).to(dtype)
    took = []
    for _ in range(5):
        began = time.perf_counter()
        grad @ weight
        took.append(time.perf_counter() - began)
    return min(took)


def test_the_chosen_numbers_are_not_the_slow_ones() -> None:
    chosen = dtype_of_base(TINY_MODEL)
    other = torch.float32 if chosen == torch.bfloat16 else torch.bfloat16
    assert seconds(chosen) < 3 * seconds(other)


@pytest.mark.skipif(multiplies_bf16(), reason="this processor multiplies bf16")
@pytest.mark.parametrize(("free", "wanted"), [(None, torch.float32), (2**40, torch.float32), (2**31, torch.bfloat16)])
def test_where_the_quick_numbers_do_not_fit_it_is_slow_rather_than_killed(
    free: int | None, wanted: torch.dtype, tmp_path: Path
) -> None:
    assert dtype_of_base(TINY_MODEL, lambda: free) == wanted
