"""The headers of safetensors files, which name the tensors without any of them being loaded."""

import json
from pathlib import Path
from typing import Any

MAX_HEADER = 100 * 2**20


def read_header(path: Path) -> tuple[int, dict[str, Any]]:
    """The length of the header in bytes, and what it says of each tensor, by name. Raises OSError, or ValueError for
    what is no such file; what it says may still be anything."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > MAX_HEADER:
            raise ValueError(f"The header of {path.name} is too long.")
        content = file.read(length)
    try:
        header = json.loads(content)
    except RecursionError:
        raise ValueError(f"The header of {path.name} is nested too deeply.") from None
    if not isinstance(header, dict):
        raise ValueError(f"The header of {path.name} is no object.")
    return length, {name: one for name, one in header.items() if name != "__metadata__"}
