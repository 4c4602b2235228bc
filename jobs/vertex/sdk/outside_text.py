"""Text that a server chose, before it goes into a row or onto a page."""

from jobs.log_lines import escape

LONGEST = 10_000


def clean(text: str) -> str:
    """Without what a database or a page does not take, or what turns the direction of text; line ends stay."""
    return "\n".join(map(escape, text[:LONGEST].split("\n")))
