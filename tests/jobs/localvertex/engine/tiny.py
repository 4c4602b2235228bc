"""Random models of a few thousand parameters, made in the tests, with tokenizers that cut texts as real ones do."""

import json
from pathlib import Path
from typing import Any

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoModelForCausalLM, LlamaConfig, MistralConfig, Qwen2Config, Qwen3Config

from jobs.localvertex.engine.families.pre_tokenizers import description_of
from tests.jobs.localvertex.engine.conftest import TUNE

SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
SIZES: dict[str, Any] = {
    "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 512, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 2,
    "initializer_range": 0.1,
}  # fmt: skip
LLAMA_3 = {
    "rope_type": "llama3", "rope_theta": 500_000.0, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}  # fmt: skip
# What the table in docs/localvertex.md says was tested: a configuration, and how its tokenizer cuts texts.
SHAPES: dict[str, tuple[Any, dict[str, Any], str]] = {
    "SmolLM2": (LlamaConfig, {"tie_word_embeddings": True}, "smollm"),
    "Llama 3": (LlamaConfig, {"rope_parameters": LLAMA_3}, "llama-bpe"),
    "Mistral": (MistralConfig, {"head_dim": 32, "sliding_window": None}, "tekken"),
    "Qwen 2.5": (Qwen2Config, {"tie_word_embeddings": True}, "qwen2"),
    "Qwen 3": (Qwen3Config, {"head_dim": 32, "tie_word_embeddings": True}, "qwen2"),
}


def make_model(shape: str, folder: Path) -> Path:
    configuration, changes, cuts = SHAPES[shape]
    tokenizer = make_tokenizer(cuts)
    torch.manual_seed(7)
    config = configuration(**SIZES | changes, vocab_size=tokenizer.get_vocab_size())
    model = AutoModelForCausalLM.from_config(config)
    for name, parameter in model.named_parameters():
        if "norm" in name or "bias" in name:  # all ones and zeros would hide what is mistaken for another
            torch.nn.init.normal_(parameter, mean=1.0 if "norm" in name else 0.0, std=0.2)
    model.save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "chat_template.jinja").write_text(TEMPLATE)
    named = dict(zip(("unk_token", "bos_token", "eos_token"), SPECIAL, strict=True))
    settings = named | {"pad_token": SPECIAL[2], "tokenizer_class": "PreTrainedTokenizerFast"}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return folder


def make_tokenizer(cuts: str) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=400, special_tokens=list(SPECIAL), initial_alphabet=alphabet)
    tokenizer.train_from_iterator((TUNE / "train.jsonl").read_text().splitlines(), trainer)
    tokenizer.add_tokens([AddedToken("<tool>", normalized=False)])
    stored = json.loads(tokenizer.to_str()) | {"pre_tokenizer": description_of(cuts)}
    made: Tokenizer = Tokenizer.from_str(json.dumps(stored))
    return made
