from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from jobs.services.smoke.budget import Budget

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)


def budget(cap="5", training="0.10", per_hour="1.20"):
    return Budget(Decimal(cap), *(None if one is None else Decimal(one) for one in (training, per_hour)))


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({}, ""),
        ({"training": None}, "The price of the training is unknown. Pass it with --training-usd."),
        (
            {"per_hour": None},
            "The price of the machine is unknown. Pass it with --usd-per-hour, or choose another machine.",
        ),
        (
            {"cap": "0.99"},
            "The training and 45 minutes of serving cost about $1.00, more than the cap of $0.99. Raise it with "
            "--cap-usd, or choose a smaller machine.",
        ),
        ({"cap": "1.00"}, ""),
    ],
)
def test_what_is_unknown_or_too_dear_is_not_begun(values, said):
    assert budget(**values).why_not_start() == said


@pytest.mark.parametrize(("minutes", "spent", "over"), [(0, "0.10", False), (60, "1.30", False), (90, "1.90", True)])
def test_the_run_turns_back_while_the_way_down_can_be_paid(minutes, spent, over):
    found = budget(cap="2")
    since = NOW - timedelta(minutes=minutes)
    assert (found.spent(since, NOW), found.is_used_up(since, NOW)) == (Decimal(spent), over)


def test_before_the_deployment_only_the_training_counts():
    assert (budget().spent(None, NOW), budget().is_used_up(None, NOW)) == (Decimal("0.10"), False)
