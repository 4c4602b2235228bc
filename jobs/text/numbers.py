"""Numbers as people and programs write them."""

from decimal import Decimal


def plain(number: float) -> str:
    """Every digit that the number has, and never 2e-05."""
    text = format(Decimal(repr(number)), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text
