"""Which of many cases `make test` runs."""

from itertools import product
from typing import Any

from _pytest.mark import ParameterSet

from tests.support.share import each_once, one_of


def always(cases: list[Any]) -> list[Any]:
    return [case for case in cases if not isinstance(case, ParameterSet)]


def all_of(cases: list[Any]) -> list[Any]:
    return [tuple(case.values) if isinstance(case, ParameterSet) else case for case in cases]


def test_each_value_is_run_always_and_every_combination_once() -> None:
    letters, numbers, signs = "abcde", range(3), [True, False]
    cases = each_once(letters, numbers, signs)
    assert all_of(cases) == list(product(letters, numbers, signs))
    assert always(cases) == [("a", 0, True), ("b", 1, False), ("c", 2, True), ("d", 0, False), ("e", 1, True)]


def test_and_where_the_answer_depends_on_both() -> None:
    cases = each_once("abc", range(2), and_where=lambda letter, number: letter == "b")
    assert always(cases) == [("a", 0), ("b", 0), ("b", 1), ("c", 0)]


def test_one_of_several_from_a_place_on() -> None:
    assert (always(one_of(3, range(7))), always(one_of(3, range(7), start=2))) == ([0, 3, 6], [2, 5])
