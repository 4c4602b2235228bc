"""The first rows are a published example of Google's tool-use metrics, each wrong in one way."""

import json

import pytest

from jobs.localvertex.api.errors import ApiError
from jobs.localvertex.evaluation.tool_calls import score_keys, score_names, score_valid, score_values


def answer(*calls):
    return json.dumps({"content": "", "tool_calls": [{"name": name, "arguments": given} for name, given in calls]})


REFERENCE = answer(("location_to_lat_long", {"location": "London"}))


@pytest.mark.parametrize(
    ("prediction", "valid", "names", "keys", "values"),
    [
        (answer(), 0, 0, 0, 0),
        (answer(("loc_to_lat_long", {"location": "London"})), 1, 0, 1, 1),
        (answer(("location_to_lat_long", {"city": "London"})), 1, 1, 0, 0),
        (answer(("location_to_lat_long", {"location": "Paris"})), 1, 1, 1, 0),
        (REFERENCE, 1, 1, 1, 1),
        ("London", 0, 0, 0, 0),
        ('{"tool_calls": [{"arguments": {}}]}', 0, 0, 0, 0),
        ('{"tool_calls": [{"name": "f", "arguments": []}]}', 0, 0, 0, 0),
        (answer(("location_to_lat_long", {"location": "London"}), ("f", {})), 1, 0, 1, 1),
    ],
)
def test_scores(prediction, valid, names, keys, values):
    scores = [score(prediction, REFERENCE) for score in (score_names, score_keys, score_values)]
    assert [score_valid(prediction), *scores] == [valid, names, keys, values]


def test_parameters_count_each():
    wanted = answer(("f", {"a": 1, "b": "Two", "c": {"d": 3}, "e": 4}))
    said = answer(("f", {"a": 1.0, "b": " two", "c": {"d": 3}}))
    assert (score_keys(said, wanted), score_values(said, wanted)) == (0.75, 0.75)
    assert score_values(said, wanted, strict=True) == 0.25


def test_calls_and_arguments_may_be_texts():
    calls = json.dumps([{"name": "location_to_lat_long", "arguments": '{"location": "London"}'}])
    assert score_values(json.dumps({"tool_calls": calls}), REFERENCE) == 1


def test_functions_without_parameters():
    assert [score_keys(answer(("f", said)), answer(("f", {}))) for said in ({}, {"a": 1})] == [1, 0]


def test_a_reference_that_is_none_is_refused():
    with pytest.raises(ApiError, match="reference must be a JSON object"):
        score_names(REFERENCE, "London")
