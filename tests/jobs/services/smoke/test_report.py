from datetime import UTC, datetime
from decimal import Decimal

from jobs.services.smoke import report
from jobs.services.smoke.assumptions import ASSUMPTIONS, Finding


def test_what_came_from_outside_stays_in_its_cell():
    text = report.write(
        began=datetime(2026, 11, 30, 12, tzinfo=UTC), place="Vertex AI, us-central1", base_model="google/gemma3@1b",
        steps=[("Tune", "FAILED: | <b>a</b>\n| new | row |", 12.4)], spent=Decimal("0.10"), cap=Decimal(5),
        findings=[Finding(ASSUMPTIONS[0], "did not hold", "x" * 1000)],
    )  # fmt: skip
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert rows[2] == r"| Tune | FAILED: \| &lt;b>a&lt;/b> \| new \| row \| | 12 |"
    assert rows[5] == f"| {ASSUMPTIONS[0].text} | did not hold | {'x' * 400} |"
    assert (len(rows), "about $0.10 of at most $5" in text) == (6, True)
