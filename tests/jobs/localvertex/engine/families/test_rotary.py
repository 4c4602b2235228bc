import numpy as np
import pytest
from transformers import LlamaConfig
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

from jobs.localvertex.engine.families.rotary import factors_of_llama_3, to_halves, to_neighbours


def test_halves_become_neighbours_and_back() -> None:
    rows = np.arange(8)  # two heads of four rows
    assert to_neighbours(rows, 2).tolist() == [0, 2, 1, 3, 4, 6, 5, 7]
    matrix = np.arange(24).reshape(8, 3)
    assert to_neighbours(matrix, 2)[:, 0].tolist() == [0, 6, 3, 9, 12, 18, 15, 21]
    assert np.array_equal(to_halves(to_neighbours(matrix, 2), 2), matrix)


def test_factors_are_those_of_transformers() -> None:
    rope = {
        "rope_type": "llama3", "rope_theta": 500_000.0, "factor": 32.0, "low_freq_factor": 1.0,
        "high_freq_factor": 4.0, "original_max_position_embeddings": 8192,
    }  # fmt: skip
    config = LlamaConfig(hidden_size=2048, num_attention_heads=32, rope_parameters=rope, max_position_embeddings=131072)
    scaled, _attention = ROPE_INIT_FUNCTIONS["llama3"](config, device="cpu")
    plain = 1.0 / 500_000.0 ** (np.arange(0, 64, 2) / 64)
    factors = factors_of_llama_3(rope, 64)
    assert (factors.min(), factors.max(), len(set(factors.tolist())) > 2) == (1.0, 32.0, True)
    assert plain / factors == pytest.approx(scaled.numpy(), rel=1e-5)
