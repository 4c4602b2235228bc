"""What one test leaves behind does not reach the next one of the same process."""

from datetime import timedelta

import pytest
from django.utils import timezone

from console.web import audit
from jobs import live, shortages, tasks
from jobs.shortages import Shortage


@pytest.mark.parametrize("turn", ["first", "second"])
def test_nothing_is_remembered(turn):
    assert shortages.recent() is None
    shortages.seen.note(Shortage.DATABASE_READ_ONLY)
    assert live.breaker.allows()
    live.breaker.trip(ConnectionError("refused"))
    assert tasks.clock.is_steady(timezone.now() + timedelta(hours=1 if turn == "first" else 2))
    assert audit.strangers.left == audit.strangers.a_minute
    audit.strangers.left = 0
