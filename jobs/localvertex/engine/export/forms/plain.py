"""Llama, Mistral and Qwen, and what the other families have in common with them: what these settings do not say of a
model, llama.cpp takes for granted."""

from pathlib import Path
from typing import Any

from gguf import MODEL_ARCH_NAMES, GGUFWriter, RopeScalingType, get_tensor_name_map

from jobs.localvertex.engine.export.byte_level import write_byte_level
from jobs.localvertex.engine.export.sentencepiece import check_sentencepiece, write_sentencepiece
from jobs.localvertex.engine.export.tensor_file import TensorFile
from jobs.localvertex.engine.export.vocabulary import read_tokenizer
from jobs.localvertex.engine.families.metaspace import is_sentencepiece
from jobs.localvertex.engine.families.pre_tokenizers import is_byte_level, name_of
from jobs.localvertex.engine.families.rotary import factors_of_llama_3, to_neighbours
from jobs.localvertex.engine.families.table import Family
from jobs.localvertex.engine.job import JobError

HEADS = {"self_attn.q_proj": "num_attention_heads", "self_attn.k_proj": "num_key_value_heads"}
MIN_WINDOW = 512  # tokens: fewer are too few for a chat
VOCABULARIES = ("model.embed_tokens.weight", "lm_head.weight")


class Plain:
    """`text` configures the language model; `shares_vocabulary`: its answers are read from the embedding; `scalings`:
    the ways to scale rotary positions that are converted; `suffixes`: what its tensors hold; `has_windows`: llama.cpp
    knows windows of attention in this family."""

    scalings: tuple[str, ...] = ("default", "linear", "llama3")
    suffixes: tuple[str, ...] = (".weight", ".bias")
    has_windows = False

    def __init__(self, family: Family, text: Any, shares_vocabulary: bool) -> None:
        self.family, self.text, self.shares_vocabulary = family, text, shares_vocabulary
        self.names = tensor_names(family, int(text.num_hidden_layers))

    @property
    def rope(self) -> dict[str, Any]:
        rope: dict[str, Any] = self.text.rope_parameters
        return rope

    def differences(self) -> dict[str, bool]:
        """What llama.cpp would serve wrongly without a word."""
        text = self.text
        kinds = set(getattr(text, "layer_types", None) or [])
        return {
            "its activation": text.hidden_act != "silu",
            f"an attention window of fewer than {MIN_WINDOW} tokens": self.context < MIN_WINDOW
            and self.context < text.max_position_embeddings,
            "the kind of attention in some of its layers": bool(kinds - {"full_attention", "sliding_attention"}),
            "biases in its attention": self.family.architecture == "qwen3" and text.attention_bias,
        }

    @property
    def context(self) -> int:
        """Where llama.cpp has no windows: as many tokens as fit into one, because up to there the model is the same
        without it."""
        text = self.text
        if self.has_windows:
            return int(text.max_position_embeddings)
        window = getattr(text, "sliding_window", None) if getattr(text, "use_sliding_window", True) else None
        return int(min(text.max_position_embeddings, window or text.max_position_embeddings))

    def check(self) -> None:
        """Raises JobError for a model that llama.cpp would serve wrongly."""
        if found := [name for name, differing in self.differences().items() if differing]:
            what = f"The model differs from {self.family.title} in {', '.join(found)}"
            raise JobError(f"{what}, so llama.cpp cannot serve it.")
        kind = self.rope.get("rope_type", "default")
        if self.scalings and kind not in self.scalings:
            raise JobError(f"Rope scaling of the kind {kind} cannot be converted for a {self.family.title} model.")

    def write_settings(self, file: TensorFile) -> None:
        self.write_sizes(file.writer)
        self.write_rope(file)

    def write_layers(self, writer: GGUFWriter) -> None:
        text = self.text
        writer.add_context_length(self.context)
        writer.add_embedding_length(text.hidden_size)
        writer.add_block_count(text.num_hidden_layers)
        writer.add_feed_forward_length(text.intermediate_size)
        writer.add_head_count(text.num_attention_heads)
        writer.add_head_count_kv(text.num_key_value_heads)

    def write_sizes(self, writer: GGUFWriter) -> None:
        text = self.text
        self.write_layers(writer)
        writer.add_key_length(head_size(text))
        writer.add_value_length(head_size(text))
        writer.add_rope_dimension_count(head_size(text))
        writer.add_layer_norm_rms_eps(text.rms_norm_eps)

    def write_rope(self, file: TensorFile) -> None:
        rope = self.rope
        file.writer.add_rope_freq_base(float(rope["rope_theta"]))
        kind = rope.get("rope_type", "default")
        if kind == "llama3":
            file.add_values("rope_freqs.weight", factors_of_llama_3(rope, head_size(self.text)))
        elif kind == "linear":
            file.writer.add_rope_scaling_type(RopeScalingType.LINEAR)
            file.writer.add_rope_scaling_factor(float(rope["factor"]))

    def check_tokenizer(self, folder: Path) -> None:
        """Raises JobError for one that llama.cpp has no name for."""
        stored = read_tokenizer(folder)
        if is_sentencepiece(stored):
            check_sentencepiece(folder, stored)
        elif is_byte_level(stored):
            name_of(stored)
        else:
            raise JobError(
                f"The tokenizer of {folder.name} is neither of the byte-level kind nor SentencePiece's BPE, and that of"
                f" a {self.family.title} model has to be to be converted here. Give a model.gguf instead."
            )

    def write_vocabulary(self, writer: GGUFWriter, folder: Path, rows: int) -> int:
        """Returns how many rows of the embedding belong to a token."""
        stored = read_tokenizer(folder)
        write = write_sentencepiece if is_sentencepiece(stored) else write_byte_level
        return write(writer, folder, stored, rows)

    def add_tensor(self, file: TensorFile, source: str, inner: str, rows: int) -> None:
        """`source` is its name in the files, `inner` that in the language model alone; `rows` those of a vocabulary."""
        heads = turned_heads(self.family, self.text, inner)
        turn = (lambda values, heads=heads: to_neighbours(values, heads)) if heads else None
        file.add(source, self.name_of(source, inner), rows=rows if inner in VOCABULARIES else None, turn=turn)

    def name_of(self, source: str, inner: str) -> str:
        target: str | None = self.names.get_name(inner, try_suffixes=self.suffixes)
        if target is None:
            raise JobError(f"The model holds {source}, which a {self.family.title} model does not have.")
        return target


def head_size(config: Any) -> int:
    return int(getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads)


def turned_heads(family: Family, config: Any, name: str) -> int:
    """Of the tensor of a model or of LoRA's B for it: the heads whose rows change places, or 0."""
    of = next((count for part, count in HEADS.items() if f".{part}." in f"{name}."), None)
    return int(getattr(config, of)) if of and family.turns_neighbours else 0


def tensor_names(family: Family, layers: int) -> Any:
    architecture = next(one for one, name in MODEL_ARCH_NAMES.items() if name == family.architecture)
    return get_tensor_name_map(architecture, layers)
