"""Tokenizers as SentencePiece's are published in a tokenizer.json: with scores that merges stand for, runs of spaces
that all have the same score, and bytes for what is no piece."""

from dataclasses import dataclass
from typing import Any

from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from tests.fixtures.tiny_gemma3.tokenizer import NORMAL, learn_pieces

FIRST = ("<unk>", "<s>", "</s>")
PHI_3 = ("<|endoftext|>", "<|assistant|>", "<|system|>", "<|end|>", "<|user|>")
MISTRAL = ("[INST]", "[/INST]")
RUNS = ["▁" * count for count in (2, 4, 8, 3, 16, 5, 6, 7, 10, 12)]
SAME_SCORE = -1e9


@dataclass(frozen=True)
class Kind:
    """`spaces`: as tokenizer.json says what text gets one before it. `stripping`: special tokens that take the white
    space behind them."""

    template: str
    added: tuple[str, ...] = ()
    spaces: str = "Prepend"
    has_bos: bool = True
    stripping: frozenset[str] = frozenset()


_FOR = "{% for message in messages %}"
_ANSWER = "{% if add_generation_prompt %}"
_TEXT = "message['content']"
KINDS = {
    # TinyLlama's chat template, which leaves <s> to the tokenizer.
    "llama-2": Kind(
        _FOR + "{{ '<|' + message['role'] + '|>\n' + " + _TEXT + " + eos_token + '\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
    ),
    "mistral-v1": Kind(
        "{{ bos_token }}" + _FOR + "{% if message['role'] == 'assistant' %}{{ " + _TEXT + " + eos_token }}"
        "{% else %}{{ '[INST] ' + " + _TEXT + " + ' [/INST]' }}{% endif %}{% endfor %}"
    ),
    "mistral-v3": Kind(
        "{{ bos_token }}" + _FOR + "{% if message['role'] == 'assistant' %}{{ ' ' + " + _TEXT + " + eos_token }}"
        "{% else %}{{ '[INST] ' + " + _TEXT + " + '[/INST]' }}{% endif %}{% endfor %}",
        added=MISTRAL,
        spaces="first",
    ),
    "phi-3": Kind(
        _FOR + "{{ '<|' + message['role'] + '|>\n' + " + _TEXT + " + '<|end|>\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}",
        added=PHI_3,
        has_bos=False,
        stripping=frozenset(("</s>", *PHI_3[1:])),
    ),
}


def settings_of(kind: str) -> dict[str, Any]:
    """The content of a tokenizer_config.json."""
    end = "<|endoftext|>" if kind == "phi-3" else FIRST[2]
    named = {"unk_token": FIRST[0], "bos_token": FIRST[1], "eos_token": end, "pad_token": FIRST[0]}
    return named | {"add_bos_token": KINDS[kind].has_bos, "tokenizer_class": "PreTrainedTokenizerFast"}


def build(kind: str, texts: list[str]) -> Tokenizer:
    described = KINDS[kind]
    learned = [piece.text for piece in learn_pieces(texts, 700) if piece.kind == NORMAL]
    scores = {text: SAME_SCORE for text in (*RUNS, "▁")} | {
        text: -float(rank) for rank, text in enumerate(learned) if text.strip("▁")
    }
    words = [*FIRST, *(f"<0x{value:02X}>" for value in range(256)), *scores, *described.added]
    vocabulary = {text: number for number, text in enumerate(words)}
    merges = merges_of(scores)
    model = models.BPE(vocab=vocabulary, merges=merges, byte_fallback=True, fuse_unk=True, unk_token=FIRST[0])
    tokenizer = Tokenizer(model)
    if described.spaces == "Prepend":
        tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    else:
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace("▁", prepend_scheme=described.spaces, split=False)
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    tokenizer.add_special_tokens(
        [AddedToken(text, normalized=False, rstrip=text in described.stripping) for text in (*FIRST, *described.added)]
    )
    if described.has_bos:
        tokenizer.post_processor = processors.TemplateProcessing(
            single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", 1)]
        )
    return tokenizer


def merges_of(scores: dict[str, float]) -> list[tuple[str, str]]:
    """As transformers writes them: best first, and of the same score the ones with the longest left part."""
    found = [
        (score, cut, len(text) - cut, text[:cut], text[cut:])
        for text, score in scores.items()
        for cut in range(1, len(text))
        if text[:cut] in scores and text[cut:] in scores
    ]
    found.sort(key=lambda one: one[:3], reverse=True)
    return [(left, right) for *_, left, right in found]
