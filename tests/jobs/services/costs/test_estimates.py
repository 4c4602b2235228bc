from datetime import timedelta
from decimal import Decimal

import pytest

from jobs.services.costs import estimates
from jobs.services.costs.pace import find_pace
from tests.support import factories
from tests.support.factories import BASE_MODEL, NOW

pytestmark = pytest.mark.django_db
BIG = "google/gemma3@gemma-3-27b-it"


def ended(seconds, *, loading=10, **values):
    """Trained for `seconds`, loaded for `loading` before and saved for 5 after."""
    first = NOW + timedelta(seconds=loading)
    last = first + timedelta(seconds=seconds)
    times = {"started_at": NOW, "first_step_at": first, "last_step_at": last, "ended_at": last + timedelta(seconds=5)}
    return factories.job(**{"state": "SUCCEEDED", "epochs": 2, **times, **values})


def dataset(tokens=23_100):
    return factories.dataset(token_estimate=tokens, valid_rows=40)


def counted(tokens=23_100, steps=20):
    """What Vertex AI tells of forty rows."""
    return {"tuningStepCount": str(steps), "totalBillableTokenCount": str(tokens), "tuningDatasetExampleCount": "40"}


def test_tokens_and_money():
    estimate = estimates.of_data(dataset(231_000), 3, BIG, "PEFT_ADAPTER")
    assert (estimate.tokens, str(estimate.cost_usd)) == (693_000, "4.73")
    assert estimates.of_data(dataset(), 1, "unknown/model@x", "FULL").cost_usd is None


@pytest.mark.parametrize(
    ("model", "mode", "ratio"),
    [
        (BIG, "PEFT_ADAPTER", 0.231),
        ("google/gemma4@gemma-4-31b-it", "PEFT_ADAPTER", 0.236),
        ("meta/llama3_1@llama-3.1-8b", "PEFT_ADAPTER", 0.317),
        ("meta/llama3_1@llama-3.1-8b", "FULL", 0.247),
        ("meta/llama3-2@llama-3.2-1b-instruct", "FULL", 0.247),
        ("meta/llama3-3@llama-3.3-70b-instruct", "PEFT_ADAPTER", 0.317),
        ("qwen/qwen3@qwen3-8b", "FULL", 0.246),
        ("qwen/qwen3@qwen3-32b", "PEFT_ADAPTER", 0.246),
        ("google/medgemma@medgemma-1.5-4b-it", "FULL", 0.231),
        ("meta/llama3_1@llama-3.1-8b", "", 0.317),
        ("unknown/model@x", "FULL", 0.231),
    ],
)
def test_tokens_of_a_character_are_those_of_google_s_calculator(model, mode, ratio):
    estimate = estimates.of_data(dataset(231_000), 1, model, mode)
    assert (estimate.tokens_per_character, estimate.tokens) == (ratio, round(1_000_000 * ratio))


def test_medgemma_has_a_price():
    assert estimates.of_data(dataset(231_000), 3, "google/medgemma@medgemma-1.5-4b-it", "FULL").cost_usd == Decimal(
        "0.79"
    )


def test_time_is_unknown_until_a_job_has_succeeded():
    factories.job(state="FAILED", started_at=NOW, ended_at=NOW + timedelta(seconds=9))
    estimate = estimates.of_data(dataset(), 1, BASE_MODEL, "PEFT_ADAPTER")
    assert (estimate.seconds, estimate.pace) == (None, None)


def test_time_is_the_median_of_earlier_jobs_and_their_loading():
    for seconds in (50, 100, 900):
        ended(seconds, data_stats=counted())
    estimate = estimates.of_data(dataset(46_200), 2, BASE_MODEL, "PEFT_ADAPTER")
    assert (estimate.pace.jobs, estimate.pace.rows_a_step) == (3, 4)
    assert estimate.seconds == pytest.approx(15 + 200, rel=0.05)


def test_jobs_of_another_model_or_mode_tell_nothing():
    ended(50, base_model=BIG, data_stats=counted())
    ended(50, tuning_mode="FULL", data_stats=counted())
    assert find_pace(BASE_MODEL, "PEFT_ADAPTER") is None


def test_a_job_without_measured_steps_is_left_out():
    ended(0, data_stats=counted())
    ended(50, started_at=None, data_stats=counted())
    ended(50)
    assert find_pace(BASE_MODEL, "PEFT_ADAPTER") is None


def test_an_estimate_is_fit_for_json():
    ended(100, data_stats=counted())
    kept = estimates.of_data(dataset(), 2, BASE_MODEL, "PEFT_ADAPTER").as_dict()
    assert (kept["tokens"], kept["cost_usd"], kept["measured_jobs"]) == (46_200, "0.00", 1)


def test_what_a_job_took():
    job = ended(100, base_model=BIG, data_stats={"totalBillableTokenCount": "500000"})
    assert estimates.figures(job) == estimates.Figures(1_000_000, 115, Decimal("6.83"))


def test_nobody_counts_the_tokens_of_a_job_that_failed():
    job = ended(100, state="FAILED", data_stats={"totalBillableTokenCount": "500000"})
    assert estimates.figures(job) == estimates.Figures(None, 115, None)


def test_a_job_that_has_not_begun_took_nothing_yet():
    assert estimates.figures(factories.job()) == estimates.Figures(None, None, None)


MACHINE = "g2-standard-8"
SMALL = "google/gemma3@gemma-3-1b-it"


def ended_in_container(**values):
    """Ten minutes."""
    end = factories.NOW
    stats = {"tuningStepCount": "10", "totalBillableTokenCount": "1000", "tuningDatasetExampleCount": "40"}
    times = {"started_at": end - timedelta(minutes=10), "first_step_at": end - timedelta(minutes=9)}
    made = {"base_model": SMALL, "training_machine": MACHINE, "state": "SUCCEEDED", "epochs": 1, "data_stats": stats}
    return factories.job(**made | times | {"last_step_at": end, "ended_at": end} | values)


def test_the_cost_of_a_container_is_unknown_while_its_pace_is():
    estimate = estimates.of_data(dataset(), 1, SMALL, "PEFT_ADAPTER", None, MACHINE)
    assert (estimate.cost_usd, estimate.seconds, estimate.usd_per_million_tokens) == (None, None, None)
    assert (estimate.machine_price.usd_per_hour, estimate.machine_type) == (Decimal("0.9818"), MACHINE)


def test_the_cost_of_a_container_is_that_of_its_hours():
    ended_in_container()
    estimate = estimates.of_data(dataset(), 1, SMALL, "PEFT_ADAPTER", None, MACHINE)
    hours = Decimal(str(estimate.seconds)) / 3600
    assert estimate.cost_usd == (hours * Decimal("0.9818")).quantize(Decimal("0.01"))
    assert find_pace(SMALL, "PEFT_ADAPTER") is None
    assert find_pace(SMALL, "PEFT_ADAPTER", "g2-standard-12") is None


def test_a_machine_without_a_price_costs_nobody_knows_what():
    ended_in_container(training_machine="a3-megagpu-8g")
    estimate = estimates.of_data(dataset(), 1, SMALL, "PEFT_ADAPTER", None, "a3-megagpu-8g")
    assert (estimate.seconds is None, estimate.cost_usd) == (False, None)


@pytest.mark.parametrize("state", ["SUCCEEDED", "FAILED", "CANCELLED"])
def test_a_container_costs_as_long_as_it_ran_however_that_ended(state):
    assert estimates.figures(ended_in_container(state=state)).cost_usd == Decimal("0.16")


def test_a_container_that_ended_before_it_began_costs_nothing():
    job = ended_in_container()
    job.started_at = job.ended_at + timedelta(hours=1)
    assert estimates.figures(job).cost_usd == Decimal("0.00")
