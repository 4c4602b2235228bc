"""Tests of many cases: `make test` runs a share of them, `make test-slow` the others."""

from collections.abc import Callable, Iterable
from itertools import product
from typing import Any

import pytest


def one_of(each: int, cases: Iterable[Any], *, start: int = 0) -> list[Any]:
    """The first of every `each` cases is run always, from the one at `start` on; the others are marked as slow."""
    return [case if number % each == start else _slow(case) for number, case in enumerate(cases)]


def each_once(*axes: Iterable[Any], and_where: Callable[..., bool] = lambda *case: False) -> list[Any]:
    """Every combination. Of the longest axis each value is run always, with values of the others in turn: so each value
    of each is run, but not with all others. And always where the answer changes with the others."""
    values = [list(axis) for axis in axes]
    turns = range(max(map(len, values)))
    chosen = {tuple(turn % len(axis) for axis in values) for turn in turns}
    places = product(*(range(len(axis)) for axis in values))
    cases = {place: tuple(axis[at] for axis, at in zip(values, place, strict=True)) for place in places}
    return [case if place in chosen or and_where(*case) else _slow(case) for place, case in cases.items()]


def _slow(case: Any) -> Any:
    values = case if isinstance(case, tuple) else (case,)
    return pytest.param(*values, marks=pytest.mark.slow)
