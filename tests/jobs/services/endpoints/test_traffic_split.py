import pytest

from jobs.errors import NotAllowedNow
from jobs.services.endpoints import traffic_split


@pytest.mark.parametrize(
    ("split", "total", "found"),
    [
        ({"a": 50, "b": 50}, 90, {"a": 45, "b": 45}),
        ({"a": 33, "b": 33, "c": 34}, 100, {"a": 33, "b": 33, "c": 34}),
        ({"a": 1, "b": 1, "c": 1}, 100, {"a": 34, "b": 33, "c": 33}),
        ({"a": 100, "b": 0}, 70, {"a": 70, "b": 0}),
        ({"a": 0, "b": 0}, 100, {"a": 100, "b": 0}),
        ({"a": 60, "b": 40}, 0, {"a": 0, "b": 0}),
        ({}, 100, {}),
    ],
)
def test_the_same_proportions_with_another_sum(split, total, found):
    assert traffic_split.scale_split(split, total) == found


def test_a_new_model_takes_its_share_of_all_others():
    assert traffic_split.with_new({"a": 75, "b": 25}, 20) == {"0": 20, "a": 60, "b": 20}
    assert traffic_split.with_new({"a": 100}, 0) == {"0": 0, "a": 100}
    assert traffic_split.with_new({"a": 100}, 100) == {"0": 100, "a": 0}


def test_a_model_alone_takes_all():
    assert traffic_split.with_new({}, 10) == {"0": 100}


def test_what_a_model_leaves_goes_to_the_others():
    split = {"a": 50, "b": 30, "c": 20}
    assert traffic_split.without(split, "a") == {"b": 60, "c": 40}
    assert traffic_split.without(split, "a", {"b": 1, "c": 99}) == {"b": 1, "c": 99}
    assert traffic_split.without({"a": 100}, "a") == {}


def test_a_wish_that_does_not_fit_any_more_is_left_aside():
    assert traffic_split.without({"a": 50, "b": 50}, "a", {"b": 90, "c": 10}) == {"b": 100}


@pytest.mark.parametrize(
    ("split", "words"),
    [
        ({"a": 50}, "changed in the meantime"),
        ({"a": 50, "b": 49}, "The traffic split must add up to 100%. It adds up to 99%."),
        ({"a": 101, "b": -1}, "from 0 to 100"),
    ],
)
def test_a_split_that_is_none(split, words):
    with pytest.raises(NotAllowedNow, match=words):
        traffic_split.check(split, {"a", "b"})
