"""What a folder holds, by the names of its files: a whole model, or an adapter that belongs to one."""

import re
from collections.abc import Iterable

from django.conf import settings

from jobs.models import ModelForm
from jobs.text.deferred import gettext as _

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


def say_adapter() -> str:
    if settings.VERTEX_API_ENDPOINT:
        return _("The folder holds an adapter in a form that the local Vertex AI does not serve.")
    return _(
        "The tuning left an adapter, and Vertex AI deploys whole models only. Merge it into its base model, for "
        "example with PEFT, and deploy that folder."
    )


def say_no_weights(uri: str) -> str:
    return _("%s holds no complete model: it needs config.json, all files of the weights, and the tokenizer.") % uri
