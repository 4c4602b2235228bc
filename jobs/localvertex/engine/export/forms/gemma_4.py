"""Gemma 4: layers that look back over a window or over everything with heads of different sizes, the last of which take
over the keys and values of earlier ones; embeddings of each layer's own; in one size a mixture of experts."""

from pathlib import Path
from typing import Any

import numpy as np
from gguf import GGUFWriter

from jobs.localvertex.engine.export.forms.plain import VOCABULARIES, Plain
from jobs.localvertex.engine.export.tensor_file import TensorFile
from jobs.localvertex.engine.export.vocabulary import merges_across_lines, read_pieces, read_tokenizer, write_merged
from jobs.localvertex.engine.job import JobError

OF_EACH_LAYER = "model.embed_tokens_per_layer.weight"
NEVER_TURNED = 1e30  # what the frequency is divided by
WINDOW, WHOLE = "sliding_attention", "full_attention"
OF_EXPERTS = {
    "router.scale": "ffn_gate_inp.scale",
    "router.per_expert_scale": "ffn_down_exps.scale",
    "router.proj.weight": "ffn_gate_inp.weight",
    "layer_scalar": "layer_output_scale.weight",
}


class Gemma4(Plain):
    has_windows = True
    scalings = ()  # each kind of its layers has its own: part of the differences

    def differences(self) -> dict[str, bool]:
        text = self.text
        return {
            "its activation": text.hidden_activation != "gelu_pytorch_tanh",
            "biases in its attention": text.attention_bias,
            "attention in both directions": text.use_bidirectional_attention == "all",
            "an embedding of its layers that is not of all tokens": bool(text.hidden_size_per_layer_input)
            and text.vocab_size_per_layer_input != text.vocab_size,
            "rotary positions of its layers": self.rope_of(WHOLE).get("rope_type") != "proportional"
            or self.rope_of(WINDOW).get("rope_type", "default") != "default",
        }

    def rope_of(self, kind: str) -> dict[str, Any]:
        rope: dict[str, Any] = self.text.rope_parameters[kind]
        return rope

    def layer(self, kind: str) -> Any:
        """The configuration of the layers of a kind. There is always one that looks over everything: the last."""
        kinds = list(self.text.layer_types)
        return self.text.per_layer_config[kinds.index(kind)] if kind in kinds else self.text

    def write_sizes(self, writer: GGUFWriter) -> None:
        text = self.text
        looks_back = [kind == WINDOW for kind in text.layer_types]
        shared = text.num_kv_shared_layers
        wide = [text.use_double_wide_mlp and n >= len(looks_back) - shared for n in range(len(looks_back))]
        writer.add_context_length(text.max_position_embeddings)
        writer.add_embedding_length(text.hidden_size)
        writer.add_embedding_length_per_layer_input(text.hidden_size_per_layer_input or 0)
        writer.add_block_count(text.num_hidden_layers)
        writer.add_feed_forward_length([text.intermediate_size * (2 if one else 1) for one in wide])
        writer.add_head_count(text.num_attention_heads)
        writer.add_head_count_kv([self.layer(kind).num_key_value_heads for kind in text.layer_types])
        writer.add_key_length(self.layer(WHOLE).head_dim)
        writer.add_value_length(self.layer(WHOLE).head_dim)
        writer.add_key_length_swa(self.layer(WINDOW).head_dim)
        writer.add_value_length_swa(self.layer(WINDOW).head_dim)
        writer.add_layer_norm_rms_eps(text.rms_norm_eps)
        writer.add_sliding_window(text.sliding_window)
        writer.add_sliding_window_pattern(looks_back)
        writer.add_shared_kv_layers(shared)
        if text.final_logit_softcapping:
            writer.add_final_logit_softcapping(text.final_logit_softcapping)
        if text.enable_moe_block:
            writer.add_expert_count(text.num_experts)
            writer.add_expert_used_count(text.top_k_experts)
            writer.add_expert_feed_forward_length(text.moe_intermediate_size)

    def write_rope(self, file: TensorFile) -> None:
        size = self.layer(WHOLE).head_dim
        file.writer.add_rope_freq_base(float(self.rope_of(WHOLE)["rope_theta"]))
        file.writer.add_rope_freq_base_swa(float(self.rope_of(WINDOW)["rope_theta"]))
        file.writer.add_rope_dimension_count(size)
        file.writer.add_rope_dimension_count_swa(self.layer(WINDOW).head_dim)
        turned = int(self.rope_of(WHOLE).get("partial_rotary_factor", 1.0) * size // 2)
        factors = np.full(size // 2, NEVER_TURNED, np.float32)
        factors[:turned] = self.rope_of(WHOLE).get("factor", 1.0)
        file.add_values("rope_freqs.weight", factors)

    def check_tokenizer(self, folder: Path) -> None:
        read_pieces(folder, self.family.title)
        if merges_across_lines(read_tokenizer(folder)):
            raise JobError(
                f"The tokenizer of {folder.name} merges line breaks with other characters, as that of no Gemma 4 does,"
                " so the model cannot be converted. Give a model.gguf instead."
            )

    def write_vocabulary(self, writer: GGUFWriter, folder: Path, rows: int) -> int:
        return write_merged(writer, folder, rows)

    def add_tensor(self, file: TensorFile, source: str, inner: str, rows: int) -> None:
        layer, part = inner.split(".", 3)[2:] if inner.startswith("model.layers.") else ("", inner)
        if part in OF_EXPERTS:
            file.add(source, f"blk.{layer}.{OF_EXPERTS[part]}", exact=True)
        elif part.startswith("experts."):
            target = self.name_of(source, f"{inner}.weight")
            file.add_experts(source, target, file.weights.shape(source), lambda values: values)
        else:
            of_tokens = inner in (*VOCABULARIES, OF_EACH_LAYER)
            file.add(source, self.name_of(source, inner), rows=rows if of_tokens else None)
