"""A GGUF file, written from safetensors without holding a model in memory."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from gguf import (
    GGML_QUANT_SIZES,
    GGMLQuantizationType,
    GGUFWriter,
    LlamaFileType,
    quantize,
)
from safetensors import safe_open

from jobs.localvertex.engine.export import k_quants
from jobs.localvertex.engine.job import JobError

Quantization = GGMLQuantizationType
K_QUANTS = (Quantization.Q4_K, Quantization.Q6_K)
TYPES = {
    "f32": Quantization.F32, "f16": Quantization.F16, "q8_0": Quantization.Q8_0, "q4_k_m": Quantization.Q4_K,
}  # fmt: skip
FILE_TYPES = {
    "f32": LlamaFileType.ALL_F32, "f16": LlamaFileType.MOSTLY_F16, "q8_0": LlamaFileType.MOSTLY_Q8_0,
    "q4_k_m": LlamaFileType.MOSTLY_Q4_K_M,
}  # fmt: skip
ROWS_AT_ONCE = 8192
SENSES = ("vision_tower.", "multi_modal_projector.", "audio_tower.", "embed_vision.", "embed_audio.")


class Weights:
    """All tensors of a folder, in one file or in several."""

    def __init__(self, folder: Path) -> None:
        self.files = sorted(folder.glob("*.safetensors"))
        if not self.files:
            raise JobError(f"{folder.name} has no *.safetensors files, so it cannot be converted.")
        self.place: dict[str, Path] = {}
        for path in self.files:
            with safe_open(path, "pt") as tensors:
                self.place |= dict.fromkeys(tensors.keys(), path)

    def shape(self, name: str) -> tuple[int, ...]:
        with safe_open(self.place[name], "pt") as tensors:
            return tuple(tensors.get_slice(name).get_shape())

    def read(self, name: str, rows: int, at_once: int = ROWS_AT_ONCE) -> Iterator[np.ndarray]:
        """The first `rows`, some at a time: the vocabulary of a 4B model is 2.7 GB of 32-bit numbers."""
        with safe_open(self.place[name], "pt") as tensors:
            part = tensors.get_slice(name)
            for first in range(0, rows, at_once):
                yield part[first : min(rows, first + at_once)].to(torch.float32).contiguous().numpy()


class TensorFile:
    """Names and shapes first, then the values, as GGUF wants them. `layers` and `has_output` decide how precise a
    tensor of a Q4_K_M file is."""

    def __init__(
        self,
        weights: Weights,
        path: Path,
        architecture: str,
        kind: Quantization,
        *,
        layers: int = 0,
        has_output: bool = False,
    ) -> None:
        self.weights, self.kind, self.path = weights, kind, path
        self.layers, self.has_output = layers, has_output
        self.writer = GGUFWriter(str(path), architecture)
        self.planned: list[Callable[[], np.ndarray]] = []

    def kind_of(self, target: str, shape: tuple[int, ...], exact: bool) -> Quantization:
        if exact or len(shape) < 2 or self.kind == Quantization.F32:
            return Quantization.F32
        if shape[-1] % 32:
            return Quantization.F16
        if self.kind == Quantization.Q4_K:
            return k_quants.kind_in_q4_k_m(target, shape[-1], self.layers, self.has_output)
        return self.kind

    def add(
        self,
        source: str,
        target: str,
        *,
        exact: bool = False,
        plus: float = 0.0,
        rows: int | None = None,
        turn: Callable[[np.ndarray], np.ndarray] | None = None,
    ) -> None:
        """`turn` gets the whole tensor; without it, a large one is never in memory as a whole."""
        stored = self.weights.shape(source)
        shape = (min(rows, stored[0]), *stored[1:]) if rows else stored
        kind = self.kind_of(target, shape, exact)
        self._announce(target, shape, kind)

        def make() -> np.ndarray:
            parts = self.weights.read(source, shape[0])
            if turn is not None:
                parts = iter([turn(np.concatenate(list(parts)))])
            return np.concatenate([as_bytes(part + np.float32(plus), kind) for part in parts])

        self.planned.append(make)

    def add_experts(
        self, source: str, target: str, shape: tuple[int, ...], turn: Callable[[np.ndarray], np.ndarray]
    ) -> None:
        """`turn` gets one expert after the other; `shape` is that of all of them when they are turned."""
        kind = self.kind_of(target, shape, exact=False)
        self._announce(target, shape, kind)

        def make() -> np.ndarray:
            parts = self.weights.read(source, shape[0], at_once=1)
            return np.concatenate([as_bytes(np.ascontiguousarray(turn(part[0])), kind) for part in parts])

        self.planned.append(make)

    def add_packed(
        self, target: str, shape: tuple[int, ...], kind: Quantization, make: Callable[[], np.ndarray]
    ) -> None:
        """A tensor that `make` returns as bytes of `kind`."""
        self._announce(target, shape, kind)
        self.planned.append(make)

    def add_values(self, target: str, values: np.ndarray) -> None:
        """What the model computes and llama.cpp wants to be told, as it is."""
        self._announce(target, values.shape, Quantization.F32)
        self.planned.append(lambda: values)

    def _announce(self, target: str, shape: tuple[int, ...], kind: Quantization) -> None:
        block, bytes_of_block = GGML_QUANT_SIZES[kind]
        size = shape[-1] // block * bytes_of_block * int(np.prod(shape[:-1]))
        self.writer.add_tensor_info(target, shape, np.dtype(np.float32), size, raw_dtype=kind)

    def write(self) -> None:
        self.writer.write_header_to_file()
        self.writer.write_kv_data_to_file()
        self.writer.write_ti_data_to_file()
        for make in self.planned:
            self.writer.write_tensor_data(make())
        self.writer.close()


def as_bytes(part: np.ndarray, kind: Quantization) -> np.ndarray:
    return k_quants.quantize(part, kind) if kind in K_QUANTS else quantize(part, kind)


def text_name(name: str) -> str | None:
    """The multimodal class nests the language model, one way in its files of 2025 and another in those of today."""
    if any(part in name for part in SENSES):
        return None
    return re.sub(r"^(model\.language_model\.|language_model\.model\.)", "model.", name).replace(
        "language_model.lm_head", "lm_head"
    )
