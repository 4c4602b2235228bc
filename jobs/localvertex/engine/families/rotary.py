"""Rotary positions, which Hugging Face and llama.cpp keep in different ways."""

import math
from typing import Any

import numpy as np


def to_neighbours(rows: np.ndarray, heads: int) -> np.ndarray:
    """Of q or k as Hugging Face has them, along the first axis: a head's first and second half, interleaved."""
    return rows.reshape(heads, 2, -1, *rows.shape[1:]).swapaxes(1, 2).reshape(rows.shape)


def to_halves(rows: np.ndarray, heads: int) -> np.ndarray:
    """The way back."""
    return rows.reshape(heads, -1, 2, *rows.shape[1:]).swapaxes(1, 2).reshape(rows.shape)


def factors_of_llama_3(rope: dict[str, Any], head: int) -> np.ndarray:
    """What each frequency is divided by, from Llama 3.1 on: long waves are stretched, short ones are not."""
    factor, low, high = (float(rope[name]) for name in ("factor", "low_freq_factor", "high_freq_factor"))
    context = float(rope["original_max_position_embeddings"])
    frequencies = 1.0 / float(rope["rope_theta"]) ** (np.arange(0, head, 2, dtype=np.float64) / head)
    turns = context * frequencies / (2 * math.pi)
    smooth = np.clip((turns - low) / (high - low), 0.0, 1.0)
    return (1 / ((1 - smooth) / factor + smooth)).astype(np.float32)
