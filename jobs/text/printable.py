"""Text of strangers, fit for a page and for PostgreSQL."""


def printable(text: str) -> str:
    """JSON may carry half a surrogate pair, or a NUL."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)
