"""What is told of a model before and after it is taken: what it is, how large, and what can be done with it here."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jobs.localvertex.api.errors import precondition
from jobs.localvertex.engine.families.table import MODEL_TYPES, TITLES, Family

from .listing import CONFIG, TEMPLATE, TOKENIZER_CONFIG, Listing, RemoteFile, choose_files
from .tensors import text_of

# What a conversion makes beside the files: the same weights in 16 bits, while it goes on.
CONVERTED = 1.1
ROOM_LEFT = 2**30
LONGEST_NAME = 120


@dataclass(frozen=True)
class Plan:
    """What will be taken. `family` None: of another one, served from its GGUF file alone."""

    files: tuple[RemoteFile, ...]
    family: Family | None
    config: Mapping[str, Any]
    gguf: str = ""

    @property
    def size(self) -> int:
        return sum(one.size for one in self.files)

    @property
    def needed(self) -> int:
        return self.size + (0 if self.gguf else int(CONVERTED * self.size)) + ROOM_LEFT


def draw_up(listing: Listing, where: object, gguf: str = "") -> Plan:
    """Raises ApiError for what this server can make nothing of."""
    config = read_json(listing.texts.get(CONFIG, b"{}"), CONFIG, where)
    kind = str(config.get("model_type", ""))[:60]
    family = MODEL_TYPES.get(kind)
    is_plain = family is not None and "quantization_config" not in config
    files = choose_files(listing, where, gguf, takes_safetensors=is_plain or not listing.gguf_files)
    chosen = next((one.name for one in files if one.name.endswith(".gguf")), "")
    if not chosen and family is None:
        raise precondition(
            f"{where} is a {kind or 'nameless'} model. This version tunes and converts {TITLES} only. Look for a"
            " repository with a GGUF file of this model: that can be served."
        )
    if not chosen and not is_plain:
        raise precondition(
            f"The weights of {where} are quantized ({_method(config)}) and cannot be converted. Import the original"
            " model, or a GGUF file of it."
        )
    return Plan(tuple(files), family, config, chosen)


def describe(listing: Listing, plan: Plan, where: object) -> dict[str, Any]:
    """For the page that asks whether to go on. Of a GGUF file alone, what it is becomes known when it is here."""
    context = text_of(plan.config).get("max_position_embeddings")
    choices = sorted(listing.gguf_files, key=lambda one: one.size)
    return {
        "source": str(where),
        "title": listing.title[:LONGEST_NAME],
        "revision": listing.revision,
        "files": [{"name": one.name, "size": one.size} for one in plan.files],
        "size": plan.size,
        "needed": plan.needed,
        "choices": [{"name": one.name, "size": one.size} for one in choices] if plan.gguf else [],
        "file": plan.gguf,
        "licence": listing.licence,
        "licence_url": listing.licence_url,
        "gated": listing.is_gated,
        "family": plan.family.title if plan.family else "",
        "model_type": str(plan.config.get("model_type", ""))[:60],
        "tunable": plan.family is not None,
        "images": "vision_config" in plan.config or any(one.name.startswith("mmproj") for one in plan.files),
        "parameters": listing.parameters,
        "context_tokens": context if type(context) is int and context > 0 else 0,
        "chat_template": None if plan.gguf else has_template(listing.texts, where),
    }


def has_template(texts: Mapping[str, bytes], where: object) -> bool:
    """As files of Hugging Face have one: beside the others, or within the tokenizer's settings."""
    if texts.get(TEMPLATE, b"").strip():
        return True
    return bool(read_json(texts.get(TOKENIZER_CONFIG, b"{}"), TOKENIZER_CONFIG, where).get("chat_template"))


def read_json(content: bytes, name: str, where: object) -> dict[str, Any]:
    try:
        found = json.loads(content.decode("utf-8"))
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise precondition(f"{name} of {where} cannot be read. The repository is damaged. Look for another one.")
    return found


def write_count(count: int) -> str:
    """As cards of models have it: 135M, 1.5B."""
    for size, letter in ((10**9, "B"), (10**6, "M"), (10**3, "K")):
        if count >= size:
            shown = count / size
            return f"{shown:.1f}".removesuffix(".0") + letter if shown < 10 else f"{shown:.0f}{letter}"  # noqa: PLR2004
    return str(count) if count else ""


def _method(config: Mapping[str, Any]) -> str:
    found = config["quantization_config"]
    return str(found.get("quant_method", "unknown"))[:40] if isinstance(found, dict) else "unknown"
