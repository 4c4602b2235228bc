"""Random models of a few thousand parameters, made in the tests, with tokenizers that cut texts as real ones do."""

import json
from pathlib import Path
from typing import Any

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    AutoModelForCausalLM,
    Gemma4TextConfig,
    GptOssConfig,
    LlamaConfig,
    MistralConfig,
    Phi3Config,
    Qwen2Config,
    Qwen3Config,
    SmolLM3Config,
)

from jobs.localvertex.engine.families.pre_tokenizers import description_of, takes_words_whole
from tests.fixtures.tiny_gemma3.tokenizer import BASIC, CONTROL, build_tokenizer, learn_pieces
from tests.jobs.localvertex.engine.conftest import TUNE
from tests.jobs.localvertex.engine.sentencepiece import KINDS, build, settings_of

SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
GEMMA_TEMPLATE = "{{ bos_token }}" + TEMPLATE.replace("<|im_start|>", CONTROL[0]).replace("<|im_end|>", CONTROL[1])
UNEVEN = ("norm", "bias", "sinks", "router", "scale")
ONES = ("norm", "scale")
SIZES: dict[str, Any] = {
    "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 512, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 2,
    "initializer_range": 0.1,
}  # fmt: skip
LLAMA_3 = {
    "rope_type": "llama3", "rope_theta": 500_000.0, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}  # fmt: skip
PHI_4_MINI = {
    "num_key_value_heads": 2, "tie_word_embeddings": True, "max_position_embeddings": 8192,
    "original_max_position_embeddings": 4096,
    "rope_parameters": {
        "rope_type": "longrope", "rope_theta": 10_000.0, "partial_rotary_factor": 0.75,
        "short_factor": [1.0, 1.1, 1.2, 1.4, 1.5, 1.7], "long_factor": [1.0, 1.5, 2.0, 4.0, 8.0, 16.0],
        "original_max_position_embeddings": 4096,
    },
}  # fmt: skip
# Layers of both kinds, of which the last two take over keys and values, in the one that has embeddings of its layers.
GEMMA_4 = {
    "layer_types": ["sliding_attention", "full_attention", "sliding_attention", "full_attention"],
    "num_hidden_layers": 4, "head_dim": 16, "global_head_dim": 32, "sliding_window": 16,
    "final_logit_softcapping": 30.0,
    "bos_token_id": 2, "eos_token_id": 1, "pad_token_id": 0,
}  # fmt: skip
GEMMA_4_E2B = {"hidden_size_per_layer_input": 64, "num_kv_shared_layers": 2, "use_double_wide_mlp": True}
GEMMA_4_31B = {"hidden_size_per_layer_input": 0, "attention_k_eq_v": True, "num_global_key_value_heads": 1}
GEMMA_4_26B = {"enable_moe_block": True, "num_experts": 4, "top_k_experts": 2, "moe_intermediate_size": 32}
GPT_OSS = {
    "num_hidden_layers": 3, "head_dim": 32, "sliding_window": 16, "num_local_experts": 4, "num_experts_per_tok": 2,
    "rope_parameters": {
        "rope_type": "yarn", "rope_theta": 150_000.0, "factor": 32.0, "beta_fast": 32.0, "beta_slow": 1.0,
        "truncate": False, "original_max_position_embeddings": 4096,
    },
}  # fmt: skip
# As the files of Phi 3 mini 128K call the same scaling.
PHI_3_5 = {
    "max_position_embeddings": 8192, "original_max_position_embeddings": 4096, "sliding_window": 262_144,
    "rope_parameters": {
        "rope_type": "su", "rope_theta": 10_000.0, "original_max_position_embeddings": 4096,
        "short_factor": [1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.7],
        "long_factor": [1.0, 1.5, 2.0, 3.0, 4.0, 8.0, 12.0, 16.0],
    },
}  # fmt: skip
WINDOW = {"max_position_embeddings": 2048, "sliding_window": 1024}
GEMMA = "Gemma's"
# What the table in docs/localvertex-models.md says was tested: a configuration, and how its tokenizer cuts texts.
SHAPES: dict[str, tuple[Any, dict[str, Any], str]] = {
    "SmolLM2": (LlamaConfig, {"tie_word_embeddings": True}, "smollm"),
    "Llama 3": (LlamaConfig, {"rope_parameters": LLAMA_3}, "llama-bpe"),
    "Mistral": (MistralConfig, {"head_dim": 32, "sliding_window": None}, "tekken"),
    "TinyLlama": (LlamaConfig, {}, "llama-2"),
    "Mistral 7B v0.1": (MistralConfig, WINDOW, "mistral-v1"),
    "Mistral 7B v0.3": (MistralConfig, {"sliding_window": None}, "mistral-v3"),
    "Qwen 2.5": (Qwen2Config, {"tie_word_embeddings": True}, "qwen2"),
    "Qwen 3": (Qwen3Config, {"head_dim": 32, "tie_word_embeddings": True}, "qwen2"),
    "SmolLM3": (SmolLM3Config, {"num_hidden_layers": 5}, "llama-bpe"),
    "Phi 3": (Phi3Config, WINDOW, "phi-3"),
    "Phi 3.5": (Phi3Config, PHI_3_5, "phi-3"),
    "Phi 4": (Phi3Config, {}, "dbrx"),
    "Phi 4 mini": (Phi3Config, PHI_4_MINI, "gpt-4o"),
    "Gemma 4 E2B": (Gemma4TextConfig, GEMMA_4 | GEMMA_4_E2B, GEMMA),
    "Gemma 4 31B": (Gemma4TextConfig, GEMMA_4 | GEMMA_4_31B, GEMMA),
    "Gemma 4 26B A4B": (Gemma4TextConfig, GEMMA_4 | GEMMA_4_31B | GEMMA_4_26B, GEMMA),
    "gpt-oss": (GptOssConfig, GPT_OSS, "gpt-4o"),
}


def make_model(shape: str, folder: Path) -> Path:
    configuration, changes, cuts = SHAPES[shape]
    tokenizer = make_tokenizer(cuts)
    torch.manual_seed(7)
    words = tokenizer.get_vocab_size()
    of_layers = {"vocab_size_per_layer_input": words} if cuts == GEMMA else {}
    model = AutoModelForCausalLM.from_config(configuration(**SIZES | changes | of_layers, vocab_size=words))
    for name, parameter in model.named_parameters():
        if any(part in name for part in UNEVEN):  # all ones and zeros would hide what is mistaken for another
            mean = 1.0 if any(part in name for part in ONES) else 0.0
            if cuts == GEMMA and "q_norm" in name:
                mean = 0.3  # Gemma 4 scales its attention by nothing else
            # Experts that are chosen by a hair would be others where a number is rounded.
            torch.nn.init.normal_(parameter, mean=mean, std=2.0 if "router" in name and mean == 0 else 0.2)
    # What ends an answer also fills rows, which transformers leaves at zero: nothing could learn to say it.
    torch.nn.init.normal_(model.get_input_embeddings().weight[model.config.pad_token_id], std=0.1)
    for name, buffer in model.named_buffers():
        if name.endswith("layer_scalar"):
            buffer.fill_(0.8)
    model.save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    if cuts in KINDS:
        (folder / "chat_template.jinja").write_text(KINDS[cuts].template)
        (folder / "tokenizer_config.json").write_text(json.dumps(settings_of(cuts)))
        return folder
    (folder / "chat_template.jinja").write_text(GEMMA_TEMPLATE if cuts == GEMMA else TEMPLATE)
    names, tokens = ("unk_token", "bos_token", "eos_token", "pad_token"), [*SPECIAL, SPECIAL[2]]
    if cuts == GEMMA:
        names, tokens = ("pad_token", "eos_token", "bos_token", "unk_token"), BASIC
    settings = dict(zip(names, tokens, strict=True)) | {"tokenizer_class": "PreTrainedTokenizerFast"}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return folder


def make_tokenizer(cuts: str) -> Tokenizer:
    texts = (TUNE / "train.jsonl").read_text().splitlines()
    if cuts in KINDS:
        return build(cuts, texts)
    if cuts == GEMMA:
        return build_tokenizer(learn_pieces(texts, 700))
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=400, special_tokens=list(SPECIAL), initial_alphabet=alphabet)
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.add_tokens([AddedToken("<tool>", normalized=False)])
    stored = json.loads(tokenizer.to_str()) | {"pre_tokenizer": description_of(cuts)}
    stored["model"]["ignore_merges"] = takes_words_whole(cuts)
    made: Tokenizer = Tokenizer.from_str(json.dumps(stored))
    return made
