from datetime import timedelta

import pytest

from jobs.models import PublisherModel
from jobs.services.costs import estimates
from jobs.services.costs.pace import Run, by_runs, find_pace
from tests.support import factories
from tests.support.factories import BASE_MODEL, NOW

pytestmark = pytest.mark.django_db
STEP, TOKEN, OTHER = 0.8, 0.004, 30.0


def run(rows, tokens_a_row, *, rows_a_step=4, step=STEP, token=TOKEN):
    """A machine that takes these seconds for each step and each token."""
    steps, tokens = rows / rows_a_step, rows * tokens_a_row
    return Run(steps, tokens, steps * step + tokens * token, OTHER, rows_a_step)


def real_seconds(made):
    return made.seconds + made.other


@pytest.mark.parametrize("tokens_a_row", [12, 40, 300, 1500])
@pytest.mark.parametrize("before", [12, 60, 800])
def test_one_job_is_enough_for_rows_of_another_length(before, tokens_a_row):
    """With what the trial of the machine said of a step, a tenth wrong."""
    wanted = run(200, tokens_a_row)
    pace = by_runs([run(80, before)], 1.1 * STEP / TOKEN)
    assert pace.seconds(wanted.tokens, 200, 4) == pytest.approx(real_seconds(wanted), rel=0.25)


def test_jobs_of_different_rows_tell_what_a_step_costs():
    pace = by_runs([run(80, 12), run(40, 500)], 1.0)
    wanted = run(1000, 60, rows_a_step=8)
    assert pace.seconds(wanted.tokens, 1000, 8) == pytest.approx(real_seconds(wanted), rel=0.01)


def test_steps_that_cost_nothing_beside_their_tokens():
    pace = by_runs([run(80, 12, step=0), run(40, 500, step=0)], 40.0)
    assert pace.step_seconds == pytest.approx(0, abs=1e-9)
    assert pace.token_seconds == pytest.approx(TOKEN)


def test_before_any_job_the_trial_of_the_machine_tells():
    PublisherModel.objects.create(name=BASE_MODEL, fetched_at=NOW, data={"paces": {"PEFT_ADAPTER": [5, 0.1, 0.001]}})
    dataset = factories.dataset(token_estimate=4000, valid_rows=40)
    estimate = estimates.of_data(dataset, 2, BASE_MODEL, "PEFT_ADAPTER")
    assert estimate.seconds == pytest.approx(10 + 20 * 0.1 + 8000 * 0.001)
    assert estimate.pace.jobs == 0
    assert find_pace(BASE_MODEL, "FULL") is None


def test_the_first_step_is_reckoned_though_nobody_timed_it():
    first = NOW + timedelta(seconds=10)
    factories.job(
        state="SUCCEEDED", epochs=1, started_at=NOW, first_step_at=first, last_step_at=first + timedelta(seconds=9),
        ended_at=first + timedelta(seconds=14),
        data_stats={"tuningStepCount": "10", "totalBillableTokenCount": "4000", "tuningDatasetExampleCount": "40"},
    )  # fmt: skip
    pace = find_pace(BASE_MODEL, "PEFT_ADAPTER")
    assert pace.seconds(4000, 40, 4) == pytest.approx(24)
