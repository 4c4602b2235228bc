import random
import struct

import pytest

from jobs.services.tuning.container import board_files
from tests.fakes.tuning import event_file

EVENTS = [
    {"event": "step", "step": 1, "loss": 4.0, "token_accuracy": 0.25, "learning_rate": 0.5, "time": 1000.0},
    {"event": "step", "step": 2, "loss": 2.0, "token_accuracy": 0.5, "learning_rate": 0.25, "time": 1001.0},
    {"event": "eval", "step": 2, "loss": 3.0, "token_accuracy": 0.5, "time": 1002.0},
]


def values(series):
    return {tag: [(point.step, point.value) for point in points] for tag, points in series.items()}


def test_the_series_have_the_names_of_the_file():
    found = values(board_files.read_points(event_file(EVENTS)))
    assert found.pop("eval/perplexity")[0][1] == pytest.approx(20.085, abs=0.01)
    assert found == {
        "train/loss": [(1, 4.0), (2, 2.0)],
        "train/token_accuracy": [(1, 0.25), (2, 0.5)],
        "train/learning_rate": [(1, 0.5), (2, 0.25)],
        "eval/loss": [(2, 3.0)],
        "eval/token_accuracy": [(2, 0.5)],
    }


def test_a_file_that_is_being_written_is_read_as_far_as_it_is_whole():
    whole = event_file(EVENTS)
    losses = [len(board_files.read_points(whole[:end]).get("train/loss", [])) for end in range(len(whole) + 1)]
    assert (losses[0], losses[-1], sorted(losses) == losses) == (0, 2, True)


def test_anything_else_is_no_point_and_no_error():
    """By chance, but the same each time."""
    chance = random.Random(7)
    whole = event_file(EVENTS)
    for _ in range(500):
        place, byte = chance.randrange(len(whole)), chance.randrange(256)
        board_files.read_points(whole[:place] + bytes([byte]) + whole[place + 1 :])
        board_files.read_points(chance.randbytes(200))
    huge = struct.pack("<QI", 2**40, 0)
    assert board_files.read_points(huge + whole) == {}


def test_of_a_step_that_was_trained_twice_the_later_point_counts():
    first = board_files.read_points(event_file(EVENTS))
    second = board_files.read_points(event_file([{"event": "step", "step": 2, "loss": 1.0, "time": 2000.0}]))
    for merged in (board_files.merge(first, second), board_files.merge(second, first)):
        assert values(merged)["train/loss"] == [(1, 4.0), (2, 1.0)]


@pytest.mark.parametrize("time", [-62135596800.0, 253402300799.0, float("nan"), float("inf")])
def test_a_time_that_no_page_could_show_is_no_point(time):
    assert values(board_files.read_points(event_file([{**EVENTS[0], "time": time}]))) == {}
