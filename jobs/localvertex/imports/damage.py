"""Which weights of an imported model are missing or changed, by the names and sizes of files: nothing of them is read.

Texts beside them may be corrected by hand, such as a chat template, and are judged where they are used."""

import json
import os
from pathlib import Path
from typing import Any, TypeAlias

from .listing import CONFIG, INDEX

WEIGHTS, GGUF = ".safetensors", ".gguf"
Stamp: TypeAlias = tuple[Any, ...]


def list_sizes(folder: Path) -> dict[str, int]:
    """Bytes of the weights as they came, by name. GGUF files beside safetensors were made of these, and can be made
    again."""
    sizes = {path.name: path.stat().st_size for path in folder.iterdir() if path.suffix in (WEIGHTS, GGUF)}
    return {name: size for name, size in sizes.items() if name.endswith(WEIGHTS)} or sizes


def find_damage(folder: Path, noted: object) -> dict[str, str]:
    """A sentence about each file that is not as it came. `noted`: what `list_sizes` said then. Imports of earlier
    versions have no such note: of them, the names in the index are known, if there is one."""
    sizes = noted if isinstance(noted, dict) else dict.fromkeys(_list_expected(folder))
    found = {name: _say_damage(folder / name, size) for name, size in sorted(sizes.items())}
    return {name: sentence for name, sentence in found.items() if sentence}


def _say_damage(path: Path, size: object) -> str:
    try:
        here = path.stat().st_size
    except OSError:
        return f"{path.name} is missing."
    return f"{path.name} has {here:,} bytes and came with {size:,}." if type(size) is int and size != here else ""


def _list_expected(folder: Path) -> list[str]:
    """Files with a configuration came as safetensors."""
    if not os.path.isfile(folder / CONFIG):
        return []
    try:
        found = json.loads((folder / INDEX).read_text(encoding="utf-8"))["weight_map"].values()
        names = sorted({name for name in found if isinstance(name, str)})
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        names = []
    return names or ([] if any(folder.glob(f"*{WEIGHTS}")) else [f"model{WEIGHTS}"])


def read_stamp(folder: Path) -> Stamp:
    """By which a change of its files is seen."""
    try:
        with os.scandir(folder) as found:
            facts = [(one.name, one.stat()) for one in found]
    except OSError as error:
        return (error.errno,)
    return tuple(sorted((name, about.st_size, about.st_mtime_ns) for name, about in facts))
