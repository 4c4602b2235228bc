"""How much a model reads: as it was made, and as endpoints of it do. What a machine's memory has room for may be less.

Vertex AI tells the second one in the titles of its deploy options alone, such as “8K context”.
"""

import re
from collections.abc import Mapping
from typing import Any

_CONTEXT = re.compile(r"\b(\d+)K context\b")


def of_model(data: Mapping[str, Any]) -> int | None:
    """In tokens, of a catalogue entry; None when it does not tell."""
    return data.get("context_tokens") or None


def of_options(data: Mapping[str, Any], machine_type: str = "", accelerator_count: int = 0) -> list[int]:
    """In tokens, of the deploy options that name it: of one machine, which may come with several, or of all."""
    wanted = (machine_type, accelerator_count)
    specs = data.get("machine_specs", ())
    of_machine = [one for one in specs if (one.get("machine_type"), one.get("accelerator_count")) == wanted]
    found = [_CONTEXT.search(one.get("title") or "") for one in (of_machine if machine_type else specs)]
    return [int(match[1]) * 1024 for match in found if match]


def served(data: Mapping[str, Any], machine_type: str = "", accelerator_count: int = 0) -> int | None:
    """In tokens, of an endpoint on this machine; the smallest one where several are possible."""
    return min(of_options(data, machine_type, accelerator_count), default=None) or of_model(data)
