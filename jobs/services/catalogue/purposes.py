"""What a model is for, which no field of the catalogue tells: read from the request that its deployment option shows as
an example, and from its name where there is none."""

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from .facts import OWN

# Fields of a request that only a model has which writes text.
OF_TEXT = frozenset({
    "@requestFormat", "messages", "contents", "max_tokens", "max_new_tokens", "maxOutputTokens", "max_output_tokens",
    "raw_response",
})  # fmt: skip


class Purpose(StrEnum):
    TEXT = "text"
    IMAGE_GENERATION = "image-generation"
    EMBEDDING = "embedding"
    OTHER = "other"


_NAMES = (
    (Purpose.IMAGE_GENERATION, r"stable-?diffusion|\bsdxl|\bflux\b|imagen\b|image-?generation|text-to-image"),
    (Purpose.EMBEDDING, r"embed|\be5\b|\bgte\b|\bbge\b|rerank"),
    (Purpose.OTHER, r"timesfm|whisper|\bowlvit|\bclip\b|\bsam\b|detection|segmentation|classif|\btts\b"),
)  # fmt: skip
_COMPILED = [(purpose, re.compile(pattern)) for purpose, pattern in _NAMES]


def find_purpose(name: str, sample_request: Mapping[str, Any]) -> Purpose:
    """A model of which nothing is known writes text: most do."""
    if OF_TEXT & _fields(sample_request) or name.startswith(OWN):
        return Purpose.TEXT
    for purpose, pattern in _COMPILED:
        if pattern.search(name.lower()):
            return purpose
    return Purpose.OTHER if sample_request else Purpose.TEXT


def _fields(request: Mapping[str, Any]) -> set[str]:
    """Of the request, of its first instance and of its parameters."""
    instances = request.get("instances")
    first = instances[0] if isinstance(instances, list) and instances else {}
    parts = (request, first, request.get("parameters"))
    return {str(key) for part in parts if isinstance(part, Mapping) for key in part}
