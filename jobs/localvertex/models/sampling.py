"""How a model is sampled where a request doesn't say: as those who made it recommend."""

import json
import mmap
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

Sampling = dict[str, float]
_RANGES = {"temperature": (0.0, 2.0), "top_p": (0.01, 1.0), "top_k": (1, 1000), "min_p": (0.0, 1.0)}
# `dry_multiplier`: llama.cpp's, against sequences that repeat; 0 is none.
_PENALTIES = {
    "repetition_penalty": (0.5, 2.0),
    "frequency_penalty": (-2.0, 2.0),
    "presence_penalty": (-2.0, 2.0),
    "dry_multiplier": (0.0, 5.0),
}
_KEYS = {"temperature": b"general.sampling.temp", "repetition_penalty": b"general.sampling.penalty_repeat"} | {
    name: f"general.sampling.{name}".encode() for name in ("top_p", "top_k", "min_p")
}
_NUMBERS = {5: "<i", 6: "<f"}  # GGUF's types of 32 bits
_HEADER_BYTES = 1024 * 1024  # these keys are among the first: far before the vocabulary ends


def read_sampling(given: object, gguf: Path, hf: Path) -> Sampling:
    """By the model's card, else generation_config.json, else the GGUF file. What is no such number is left out."""
    return _keep_valid(given) or _keep_valid(_of_folder(hf)) or _keep_valid(_of_file(gguf))


def without_penalties(sampling: Sampling) -> Sampling:
    """For a tuned model: what it was taught may repeat itself, such as the keys of JSON."""
    return {name: value for name, value in sampling.items() if name not in _PENALTIES}


def _keep_valid(found: object) -> Sampling:
    values = found if isinstance(found, Mapping) else {}
    return {
        name: value
        for name, (least, most) in (_RANGES | _PENALTIES).items()
        if isinstance(value := values.get(name), (int, float))
        and not isinstance(value, bool)
        and least <= value <= most
        and (name != "top_k" or isinstance(value, int))
    }


def _of_folder(folder: Path) -> object:
    try:
        found = json.loads((folder / "generation_config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    is_sampled = isinstance(found, dict) and found.get("do_sample", True)
    return found if is_sampled else {}


def _of_file(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            if content[:4] != b"GGUF":
                return {}
            return {name: value for name, key in _KEYS.items() if (value := _number(content, key)) is not None}
    except (OSError, ValueError, struct.error):
        return {}


def _number(content: mmap.mmap, key: bytes) -> float | None:
    at = content.find(struct.pack("<Q", len(key)) + key, 0, _HEADER_BYTES)
    if at < 0:
        return None
    at += 8 + len(key)
    form = _NUMBERS.get(struct.unpack_from("<I", content, at)[0])
    if form is None:
        return None
    value = struct.unpack_from(form, content, at + 4)[0]
    return round(value, 6) if isinstance(value, float) else int(value)
