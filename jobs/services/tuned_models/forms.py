"""What a folder holds, by the names of its files: a whole model, or an adapter that belongs to one."""

import re
from collections.abc import Iterable

from jobs.models import ModelForm

ADAPTER_CONFIG = "adapter_config.json"
ADAPTER_WEIGHTS = frozenset({"adapter_model.safetensors", "adapter_model.bin"})
# The form in which the local server serves an adapter.
SERVABLE_ADAPTER = "adapter.gguf"

_TOKENIZERS = ("tokenizer", "vocab", "spiece", "tekken")
_WEIGHTS = re.compile(r"(?:model|pytorch_model|consolidated)\S*\.(?:safetensors|bin)")
_PART = re.compile(r".+-\d{1,5}-of-(\d{1,5})\.\w+")


def form_of(names: Iterable[str]) -> ModelForm:
    """NONE for what is not complete: a write that was cut off lacks some of the files of the weights."""
    found = set(names)
    weights = [name for name in found if _WEIGHTS.fullmatch(name)]
    if "config.json" in found and weights and _has_all_parts(weights) and _has_tokenizer(found):
        return ModelForm.WHOLE
    if ADAPTER_CONFIG in found and found & ADAPTER_WEIGHTS:
        return ModelForm.ADAPTER
    return ModelForm.NONE


def _has_tokenizer(names: set[str]) -> bool:
    return any(name.startswith(_TOKENIZERS) for name in names)


def _has_all_parts(weights: list[str]) -> bool:
    parts = [int(part[1]) for name in weights if (part := _PART.fullmatch(name))]
    return len(parts) >= max(parts, default=0)
