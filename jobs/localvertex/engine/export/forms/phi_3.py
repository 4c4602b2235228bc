"""Phi 3 to 4: q, k and v in one tensor, gate and up in another, and positions for short and for long texts."""

import math

import numpy as np
from gguf import GGUFWriter

from jobs.localvertex.engine.export.forms.plain import Plain, head_size
from jobs.localvertex.engine.export.tensor_file import TensorFile


class Phi3(Plain):
    scalings = ("default", "longrope")

    def write_sizes(self, writer: GGUFWriter) -> None:
        self.write_layers(writer)
        writer.add_layer_norm_rms_eps(self.text.rms_norm_eps)
        writer.add_rope_dimension_count(self.turned)
        writer.add_rope_scaling_orig_ctx_len(self.original_context)
        writer.add_sliding_window(0)

    @property
    def turned(self) -> int:
        """How many numbers of a head: Phi 4 mini leaves a quarter as it is."""
        return int(head_size(self.text) * self.rope.get("partial_rotary_factor", 1.0))

    @property
    def original_context(self) -> int:
        return int(self.rope.get("original_max_position_embeddings") or self.text.original_max_position_embeddings)

    def write_rope(self, file: TensorFile) -> None:
        file.writer.add_rope_freq_base(float(self.rope["rope_theta"]))
        if self.rope.get("rope_type") == "longrope":
            file.writer.add_rope_scaling_attn_factors(self._attention_factor())
            for name in ("long", "short"):
                values = np.array(self.rope[f"{name}_factor"], np.float32)
                file.add_values(f"rope_factors_{name}.weight", values)

    def _attention_factor(self) -> float:
        stated = self.rope.get("attention_factor")
        scale = self.text.max_position_embeddings / self.original_context
        if stated is not None or scale <= 1:
            return float(stated or 1)
        return math.sqrt(1 + math.log(scale) / math.log(self.original_context))
