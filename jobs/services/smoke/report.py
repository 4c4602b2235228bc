"""What a smoke run found, as Markdown."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal

from .assumptions import Finding


def write(
    *,
    began: datetime,
    place: str,
    base_model: str,
    steps: Sequence[tuple[str, str, float]],
    spent: Decimal,
    cap: Decimal,
    findings: Iterable[Finding],
) -> str:
    """`steps`: each with its outcome and its seconds. `spent` is estimated from list prices; the bill decides."""
    lines = [
        "# Smoke test of Vertex AI",
        "",
        f"{began:%Y-%m-%d %H:%M} UTC · {place} · {base_model}",
        "",
        "| step | outcome | seconds |",
        "| --- | --- | ---: |",
        *(f"| {_cell(name)} | {_cell(outcome)} | {seconds:,.0f} |" for name, outcome, seconds in steps),
        "",
        f"Cost by list prices: about ${spent} of at most ${cap}. The bill decides.",
        "",
        "| assumption | verdict | what was seen |",
        "| --- | --- | --- |",
        *(f"| {_cell(one.assumption.text)} | {one.verdict} | {_cell(one.detail)} |" for one in findings),
        "",
    ]
    return "\n".join(lines)


def _cell(text: str) -> str:
    """What came from outside cannot open another cell, line or tag."""
    plain = " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")
    return plain[:400]
