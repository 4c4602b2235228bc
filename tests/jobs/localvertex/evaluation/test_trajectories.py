import pytest
from google.cloud.aiplatform_v1beta1.types import Trajectory

from jobs.localvertex.evaluation import trajectories

SCORES = (
    trajectories.score_exact,
    trajectories.score_in_order,
    trajectories.score_any_order,
    trajectories.score_precision,
    trajectories.score_recall,
)


@pytest.mark.parametrize(
    ("said", "wanted", "expected"),
    [
        ("ab", "ab", [1, 1, 1, 1, 1]),
        ("xab", "ab", [0, 1, 1, 2 / 3, 1]),
        ("ba", "ab", [0, 0, 1, 1, 1]),
        ("a", "ab", [0, 0, 0, 1, 0.5]),
        ("ab", "aab", [0, 0, 0, 1, 1]),
        ("", "a", [0, 0, 0, 0, 0]),
    ],
)
def test_scores(said, wanted, expected):
    steps = [[(name, "{}") for name in names] for names in (said, wanted)]
    assert [score(*steps) for score in SCORES] == expected


def test_one_tool():
    assert [trajectories.score_single_use([("a", "{}")], tool) for tool in "ab"] == [1, 0]


def test_inputs_are_compared_as_json():
    first, second, third = (
        trajectories.read_steps(Trajectory(tool_calls=[{"tool_name": "f", "tool_input": text}]))
        for text in ('{"a": 1, "b": 2}', '{"b":2,"a":1}', "plain")
    )
    assert (first == second, first == third) == (True, False)
