"""What SQLite does for the list of jobs: without statistics, so the same whether it holds ten jobs or a million."""

from datetime import timedelta

import pytest
from django.db import connection
from django.db.models import Count
from django.utils import timezone

from console.presenters.components import pager
from console.presenters.tuning import filters, job_list
from jobs.models import TuningJob

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL plans by what the table holds"),
]


def plan(rows):
    """What is searched and how, in its order, without the numbers of the steps."""
    return [line.split(maxsplit=3)[3] for line in rows.explain().splitlines()]


@pytest.mark.parametrize(
    ("typed", "steps"),
    [
        ("", ["INDEX tuning_by_time (owner_id=?)"]),
        ("night base:gemma", ["INDEX tuning_by_time (owner_id=?)"]),
        ("created:7d", ["INDEX tuning_by_time (owner_id=? AND created_at>?)"]),
        ("ended:7d", ["INDEX tuning_by_time (owner_id=?)"]),
        ("status:failed night", ["INDEX tuning_by_status (owner_id=? AND status_group=?)"]),
        ("status:expired", ["INDEX tuning_by_status (owner_id=? AND status_group=?)"]),
        ("status:succeeded ended:7d", ["INDEX tuning_by_status (owner_id=? AND status_group=?)"]),
        ("status:live", ["INDEX tuning_by_status (owner_id=? AND status_group<?)", "USE TEMP B-TREE FOR ORDER BY"]),
    ],
)
def test_a_filter_is_answered_from_an_index(owner, typed, steps):
    view = job_list.View(filters.parse(typed), pager.parse_sort("", job_list.HEADS), "")
    shown = plan(job_list.search_jobs(owner, view).lines()[:51])
    assert [step.removeprefix("SEARCH jobs_tuningjob USING ") for step in shown] == steps


def test_what_is_filtered_by_is_read_in_the_index_alone(owner):
    view = job_list.View(filters.parse("night base:gemma ended:7d"), pager.parse_sort("", job_list.HEADS), "")
    found = plan(job_list.search_jobs(owner, view).values("pk"))
    assert found == ["SEARCH jobs_tuningjob USING COVERING INDEX tuning_by_time (owner_id=?)"]


@pytest.mark.parametrize(
    ("rows", "index"),
    [
        (lambda jobs: jobs.live(), "tuning_by_status (owner_id=? AND status_group<?)"),
        (
            lambda jobs: jobs.ended_since(timezone.now() - timedelta(days=7)),
            "tuning_ended (owner_id=? AND status_group=? AND ended_at>?)",
        ),
    ],
)
def test_each_counter_has_an_index(owner, rows, index):
    counted = rows(TuningJob.objects.visible_to(owner)).order_by().values_list("status_group").annotate(n=Count("*"))
    assert plan(counted) == [f"SEARCH jobs_tuningjob USING INDEX {index}"]
