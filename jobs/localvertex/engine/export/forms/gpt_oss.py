"""gpt-oss: a mixture of experts, whose weights are published in MXFP4 and tuned in bf16."""

from functools import partial
from itertools import pairwise

import numpy as np
import torch
from gguf import GGMLQuantizationType, GGUFWriter, RopeScalingType
from safetensors import safe_open

from jobs.localvertex.engine.export.forms.plain import Plain
from jobs.localvertex.engine.export.tensor_file import TensorFile, Weights
from jobs.localvertex.engine.job import JobError

GATE_UP, DOWN = "mlp.experts.gate_up_proj", "mlp.experts.down_proj"
BLOCK = 32  # numbers that share a scale in MXFP4


class GptOss(Plain):
    scalings = ("default", "linear", "yarn")
    has_windows = True

    def differences(self) -> dict[str, bool]:
        text = self.text
        alternate = text.layer_types[0] == "sliding_attention" and all(a != b for a, b in pairwise(text.layer_types))
        return {
            "its activation": (text.hidden_act, text.swiglu_alpha, text.swiglu_limit) != ("silu", 1.702, 7.0),
            "the order of its attention layers": not alternate,
            "attention without biases": not text.attention_bias,
            "a vocabulary that is shared with the embedding": self.shares_vocabulary,
        }

    def write_sizes(self, writer: GGUFWriter) -> None:
        super().write_sizes(writer)
        writer.add_sliding_window(self.text.sliding_window)
        writer.add_expert_count(self.text.num_local_experts)
        writer.add_expert_used_count(self.text.num_experts_per_tok)
        writer.add_expert_feed_forward_length(self.text.intermediate_size)

    def write_rope(self, file: TensorFile) -> None:
        rope = self.rope
        if rope.get("rope_type") != "yarn":
            super().write_rope(file)
            return
        writer = file.writer
        writer.add_rope_freq_base(float(rope["rope_theta"]))
        writer.add_rope_scaling_type(RopeScalingType.YARN)
        writer.add_rope_scaling_factor(float(rope["factor"]))
        writer.add_rope_scaling_orig_ctx_len(rope["original_max_position_embeddings"])
        writer.add_rope_scaling_yarn_beta_fast(float(rope.get("beta_fast") or 32))
        writer.add_rope_scaling_yarn_beta_slow(float(rope.get("beta_slow") or 1))

    def add_tensor(self, file: TensorFile, source: str, inner: str, rows: int) -> None:
        layer, _, expert = inner.partition(".mlp.experts.")
        if inner.endswith("_blocks"):
            return  # with the scales
        if inner.endswith("_scales"):
            self._add_packed(file, source, inner)
        elif expert in ("gate_up_proj", "down_proj"):
            self._add_experts(file, source, inner)
        elif expert == "gate_up_proj_bias":
            for number, part in enumerate(("gate", "up")):
                target = self.name_of(source, f"{layer}.mlp.experts.{part}_proj.bias")
                file.add_values(target, read_whole(file.weights, source)[:, number::2])
        elif expert == "down_proj_bias":
            file.add(source, self.name_of(source, f"{layer}.{DOWN}.bias"), exact=True)
        elif inner.endswith(".self_attn.sinks"):
            file.add(source, self.name_of(source, f"{inner}.weight"), exact=True)
        elif ".mlp.router." in inner:
            file.add(source, self.name_of(source, inner), exact=True)
        else:
            super().add_tensor(file, source, inner, rows)

    def _add_experts(self, file: TensorFile, source: str, inner: str) -> None:
        count, inputs, outputs = file.weights.shape(source)
        if inner.endswith(DOWN):
            file.add_experts(source, self.name_of(source, f"{inner}.weight"), (count, outputs, inputs), np.transpose)
            return
        for number, part in enumerate(("gate", "up")):
            target = self.name_of(source, inner.replace("gate_up_proj", f"{part}_proj.weight"))
            file.add_experts(source, target, (count, outputs // 2, inputs), partial(pick_every_second, first=number))

    def _add_packed(self, file: TensorFile, source: str, inner: str) -> None:
        blocks = source.removesuffix("_scales") + "_blocks"
        if blocks not in file.weights.place:
            raise JobError(f"The model holds {source} without {blocks.rpartition('.')[2]}.")
        count, outputs, groups = file.weights.shape(source)
        if DOWN in inner:
            parts = {"down": slice(None)}
        else:
            parts, outputs = {"gate": slice(0, None, 2), "up": slice(1, None, 2)}, outputs // 2
        for part, chosen in parts.items():
            target = self.name_of(source, f"{inner.rpartition('.')[0]}.{part}_proj.weight")
            make = partial(repack, file.weights, blocks, source, chosen)
            file.add_packed(target, (count, outputs, groups * BLOCK), GGMLQuantizationType.MXFP4, make)


def pick_every_second(values: np.ndarray, first: int) -> np.ndarray:
    """Of the columns of one expert, which become rows."""
    return values[:, first::2].T


def read_whole(weights: Weights, name: str) -> np.ndarray:
    return np.concatenate(list(weights.read(name, weights.shape(name)[0])))


def repack(weights: Weights, blocks: str, scales: str, chosen: slice) -> np.ndarray:
    """The same numbers in llama.cpp's order: a block's scale before it, its first half in the low four bits."""
    with safe_open(weights.place[blocks], "pt") as one, safe_open(weights.place[scales], "pt") as other:
        pairs = one.get_tensor(blocks)[:, chosen].to(torch.uint8).numpy()
        exponents = other.get_tensor(scales)[:, chosen].to(torch.uint8).numpy()
    numbers = np.stack([pairs & 0x0F, pairs >> 4], -1).reshape(*pairs.shape[:-1], BLOCK)
    halves = numbers[..., : BLOCK // 2] | (numbers[..., BLOCK // 2 :] << 4)
    return np.ascontiguousarray(np.concatenate([exponents[..., None], halves], -1))
