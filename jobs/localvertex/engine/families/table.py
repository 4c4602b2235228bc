"""Which model types of Hugging Face belong to a family, and how llama.cpp names and keeps its tensors."""

from collections.abc import Mapping
from dataclasses import dataclass

_ALL = {
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "attn_norm": "input_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
_NORMS_OF_HEADS = {"attn_q_norm": "self_attn.q_norm", "attn_k_norm": "self_attn.k_norm"}
_LLAMA = _ALL | {"ffn_norm": "post_attention_layernorm"}


@dataclass(frozen=True)
class Family:
    """`architecture`: as llama.cpp calls it. `layer_tensors`: its names of a layer's tensors, and Hugging Face's.
    `turns_neighbours`: its rotary positions turn neighbouring rows of q and k together, where Hugging Face's turn row n
    with row n of the head's second half: the rows change places. `from_gguf`: its Hugging Face files can be had back
    from a GGUF file."""

    title: str
    architecture: str
    model_types: tuple[str, ...]
    model_class: str
    layer_tensors: Mapping[str, str]
    turns_neighbours: bool = False
    from_gguf: bool = True


GEMMA_3 = Family(
    "Gemma 3",
    "gemma3",
    ("gemma3_text", "gemma3"),
    "Gemma3ForCausalLM",
    _ALL
    | _NORMS_OF_HEADS
    | {
        "post_attention_norm": "post_attention_layernorm",
        "ffn_norm": "pre_feedforward_layernorm",
        "post_ffw_norm": "post_feedforward_layernorm",
    },
)
LLAMA = Family("Llama", "llama", ("llama", "mistral"), "LlamaForCausalLM", _LLAMA, turns_neighbours=True)
QWEN_2 = Family("Qwen 2", "qwen2", ("qwen2",), "Qwen2ForCausalLM", _LLAMA)
QWEN_3 = Family("Qwen 3", "qwen3", ("qwen3",), "Qwen3ForCausalLM", _LLAMA | _NORMS_OF_HEADS)

SMOLLM_3 = Family(
    "SmolLM3", "smollm3", ("smollm3",), "SmolLM3ForCausalLM", _LLAMA, turns_neighbours=True, from_gguf=False
)
PHI_3 = Family("Phi 3", "phi3", ("phi3",), "Phi3ForCausalLM", {}, from_gguf=False)
GEMMA_4 = Family("Gemma 4", "gemma4", ("gemma4_text", "gemma4"), "Gemma4ForCausalLM", {}, from_gguf=False)
GPT_OSS = Family("gpt-oss", "gpt-oss", ("gpt_oss",), "GptOssForCausalLM", {}, from_gguf=False)

FAMILIES = (GEMMA_3, LLAMA, QWEN_2, QWEN_3, SMOLLM_3, PHI_3, GEMMA_4, GPT_OSS)
MODEL_TYPES = {model_type: family for family in FAMILIES for model_type in family.model_types}
ARCHITECTURES = {family.architecture: family for family in FAMILIES}
TITLES = "Gemma 3 and 4, Llama, Mistral, Qwen 2, Qwen 2.5 and Qwen 3, SmolLM2 and 3, Phi 3 to 4 and gpt-oss"
TITLES_FROM_GGUF = "Gemma 3, Llama, Mistral, Qwen 2, Qwen 2.5 and Qwen 3"
SEEING = ("gemma3",)  # model types whose vision tower is converted; that of others is left out
