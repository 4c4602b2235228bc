from datetime import UTC, datetime

from jobs.services.tuning.reading.series import MOST_POINTS, MOST_SERIES, TAG_LENGTH, name_series
from jobs.vertex.values import Point

AT = datetime(2026, 11, 30, tzinfo=UTC)


def points(*values: float) -> list[Point]:
    return [Point(step, value, AT) for step, value in enumerate(values, start=1)]


def names(*tags: str) -> list[str]:
    return list(name_series({tag: points(1.0) for tag in tags}))


def test_names_of_other_programs_are_known():
    found = {
        "loss": "/train_total_loss", "train/loss": "/train_total_loss", "/train_total_loss": "/train_total_loss",
        "eval_loss": "/eval_total_loss", "eval/loss": "/eval_total_loss", "Validation Loss": "/eval_total_loss",
        "perplexity": "/eval_perplexity", "eval/perplexity": "/eval_perplexity", "BLEU": "/eval_bleu",
        "train/learning_rate": "/train_learning_rate", "train/grad_norm": "/train_grad_norm",
        "eval/mean_token_accuracy": "/eval_fraction_of_correct_next_step_preds",
        "train/token_accuracy": "/train_fraction_of_correct_next_step_preds",
        "eval/token_accuracy": "/eval_fraction_of_correct_next_step_preds",
    }  # fmt: skip
    assert {tag: names(tag)[0] for tag in found} == found


def test_unknown_names_stay_as_they_are():
    assert names("eval_runtime", "vendor/Strange metric", "/own") == ["/own", "eval_runtime", "vendor/Strange metric"]


def test_of_two_for_one_curve_the_documented_name_wins_and_the_other_stays():
    found = name_series({"loss": points(2.0), "/train_total_loss": points(1.0), "train_loss": points(3.0)})
    assert {name: [point.value for point in curve] for name, curve in found.items()} == {
        "/train_total_loss": [1.0],
        "train_loss": [3.0],
        "loss": [2.0],
    }


def test_names_from_outside_have_limits():
    (long,) = names("x" * 5000)
    assert len(long) == TAG_LENGTH
    assert names("a\nb\u202ec") == ["a\\nb\\u202ec"]
    assert names("", "  ") == []
    flood = [f"a{number}" for number in range(500)]
    assert len(names(*flood, "loss")) == MOST_SERIES
    assert names(*flood, "loss")[0] == "/train_total_loss"


def test_a_curve_has_a_limit_and_its_last_point():
    (curve,) = name_series({"loss": points(*map(float, range(MOST_POINTS * 3)))}).values()
    assert (len(curve), curve[-1].value) == (MOST_POINTS, MOST_POINTS * 3 - 1.0)
