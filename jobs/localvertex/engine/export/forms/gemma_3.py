"""Gemma 3: layers that look back over a window, and each sixth over everything."""

from pathlib import Path
from typing import Any

from gguf import GGUFWriter

from jobs.localvertex.engine.export.forms.plain import VOCABULARIES, Plain, head_size
from jobs.localvertex.engine.export.tensor_file import TensorFile
from jobs.localvertex.engine.export.vocabulary import read_pieces, write_vocabulary

FULL_ATTENTION_EVERY = 6
LAYERS_OF_27B = 62  # the one size whose attention llama.cpp does not scale by the head dimension


class Gemma3(Plain):
    scalings = ("default", "linear")
    suffixes = (".weight",)
    has_windows = True

    def differences(self) -> dict[str, bool]:
        text = self.text
        layers = range(text.num_hidden_layers)
        kinds = ["full_attention" if (n + 1) % FULL_ATTENTION_EVERY == 0 else "sliding_attention" for n in layers]
        is_27b = text.num_hidden_layers == LAYERS_OF_27B
        scale = text.hidden_size // text.num_attention_heads if is_27b else text.head_dim
        return {
            "the order of its attention layers": list(text.layer_types) != kinds,
            "its attention scale": text.query_pre_attn_scalar != scale,
            "its activation": text.hidden_activation != "gelu_pytorch_tanh",
            "a cap on its logits": bool(text.final_logit_softcapping or text.attn_logit_softcapping),
            "biases in its attention": text.attention_bias,
            "attention in both directions": getattr(text, "use_bidirectional_attention", False),
        }

    @property
    def rope(self) -> dict[str, Any]:
        """Of the layers that look over everything."""
        rope: dict[str, Any] = self.text.rope_parameters["full_attention"]
        return rope

    def write_sizes(self, writer: GGUFWriter) -> None:
        self.write_layers(writer)
        writer.add_key_length(head_size(self.text))
        writer.add_value_length(head_size(self.text))
        writer.add_layer_norm_rms_eps(self.text.rms_norm_eps)
        writer.add_sliding_window(self.text.sliding_window)

    def write_rope(self, file: TensorFile) -> None:
        super().write_rope(file)
        file.writer.add_rope_freq_base_swa(float(self.text.rope_parameters["sliding_attention"]["rope_theta"]))

    def check_tokenizer(self, folder: Path) -> None:
        read_pieces(folder, self.family.title)

    def write_vocabulary(self, writer: GGUFWriter, folder: Path, rows: int) -> int:
        return write_vocabulary(writer, folder, rows)

    def add_tensor(self, file: TensorFile, source: str, inner: str, rows: int) -> None:
        norm = 1.0 if inner.endswith("norm.weight") else 0.0  # llama.cpp keeps Gemma's 1 + w
        of_tokens = inner in VOCABULARIES
        file.add(source, self.name_of(source, inner), plus=norm, rows=rows if of_tokens else None)
