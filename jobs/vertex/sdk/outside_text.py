"""Text that a server chose, before it goes into a row or onto a page."""

import json
import re
from typing import Any

from jobs.log_lines import escape

LONGEST = 10_000

_STATUS = re.compile(r"[A-Z_]{1,40}")


def clean(text: str) -> str:
    """Without what a database or a page does not take, or what turns the direction of text; line ends stay."""
    return "\n".join(map(escape, text[:LONGEST].split("\n")))


def read_object(text: str) -> dict[str, Any]:
    """What a server wrote as a JSON object into a text; nothing for anything else, however deeply it is nested."""
    try:
        found = json.loads(text or "{}")
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def read_status(told: object) -> str:
    """Google's word for a kind of error, such as NOT_FOUND; nothing for anything else, however long."""
    word = str(told or "")
    return word if _STATUS.fullmatch(word) else ""
