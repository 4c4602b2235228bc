from datetime import timedelta

import pytest
from django.utils import timezone

from console.presenters.tuning import filters
from jobs.models import TuningJob
from tests.support import factories


def texts(*typed):
    return [chip.text for chip in filters.parse(*typed)]


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("", []),
        ("night run", ["name:night", "name:run"]),
        ('name:"night run"', ['name:"night run"']),
        ("Status:FAILED", ["status:failed"]),
        ("foo:bar", ["name:foo:bar"]),
        ("status:", ["name:status:"]),
        ('status:"" ""', []),
        ("a a\x00b", ["name:a", "name:b"]),
        ("x " * 400, ["name:x"]),
        (" ".join(f"n{number}" for number in range(40)), [f"name:n{number}" for number in range(12)]),
    ],
)
def test_chips_are_read_from_what_is_typed(typed, expected):
    assert texts(typed) == expected


def test_what_is_added_comes_behind_what_is_there():
    assert texts("status:failed", "base:gemma") == ["status:failed", "base:gemma"]


def test_chips_survive_the_address():
    chips = filters.parse('status:failed name:"night run" created:>2026-01-31')
    assert filters.parse(filters.query_text(chips)) == chips


@pytest.mark.parametrize(
    ("text", "is_problem"),
    [
        ("created:7d", False), ("created:today", False), ("ended:2026-01-31", False), ("created:<2026-01-31", False),
        ("created:2026-01-01..2026-01-31", False), ("created:yesterday", True), ("created:2026-13-01", True),
        ("ended:9999-12-31", True), ("created:99999d", True), ("status:lost", True), ("status:pending", False),
    ],
)  # fmt: skip
def test_a_value_that_cannot_be_used_has_a_problem(text, is_problem):
    assert bool(filters.parse(text)[0].problem) == is_problem


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("created:24h", ["Fresh"]),
        ("created:3w", ["Fresh", "Old"]),
        ("created:<2020-01-01", []),
        ("status:pending", ["Fresh"]),
        ("status:queued", ["Fresh"]),
        ("base:27b", ["Old"]),
        ("base:27b base:270m", ["Fresh", "Old"]),
        ("base:27b status:queued", []),
        ("fre", ["Fresh"]),
    ],
)
def test_chips_limit_the_jobs(text, expected):
    now = timezone.now()
    factories.job(display_name="Fresh", state="PENDING", created_at=now)
    old = {"created_at": now - timedelta(days=10), "base_model": "google/gemma3@gemma-3-27b-it"}
    factories.job(display_name="Old", state="SUCCEEDED", **old)
    found = TuningJob.objects.filter(filters.condition(filters.parse(text)))
    assert [job.display_name for job in found] == expected
