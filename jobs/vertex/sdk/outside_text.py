"""Text that a server chose, before it goes into a row or onto a page."""

import re

from jobs.log_lines import escape

LONGEST = 10_000

_STATUS = re.compile(r"[A-Z_]{1,40}")


def clean(text: str) -> str:
    """Without what a database or a page does not take, or what turns the direction of text; line ends stay."""
    return "\n".join(map(escape, text[:LONGEST].split("\n")))


def read_status(told: object) -> str:
    """Google's word for a kind of error, such as NOT_FOUND; nothing for anything else, however long."""
    word = str(told or "")
    return word if _STATUS.fullmatch(word) else ""
