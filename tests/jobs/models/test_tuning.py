from datetime import timedelta

import pytest

from jobs.models import GROUPS, StatusGroup, TuningJob, thin_out
from jobs.states import TuningState
from tests.support import factories


def test_each_state_belongs_to_one_group():
    assert sorted(state for states in GROUPS.values() for state in states) == sorted(TuningState.values)


@pytest.mark.django_db
@pytest.mark.parametrize("state", TuningState.values)
def test_the_database_knows_the_group_of_each_state(state):
    factories.job(state=state)
    expected = next(group for group, states in GROUPS.items() if state in states)
    assert StatusGroup(TuningJob.objects.get().status_group) == expected


@pytest.mark.django_db
def test_the_duration_is_kept_when_the_end_is():
    job = factories.job(started_at=factories.NOW)
    assert job.duration is None
    job.ended_at = factories.NOW + timedelta(seconds=90)
    job.save(update_fields=["ended_at"])
    assert TuningJob.objects.get().duration == 90


@pytest.mark.parametrize(("count", "expected"), [(0, []), (3, [0, 1, 2]), (7, [0, 3, 6]), (8, [1, 4, 7])])
def test_points_are_left_out_at_even_distances_and_the_last_stays(count, expected):
    assert thin_out(list(range(count)), 3) == expected
