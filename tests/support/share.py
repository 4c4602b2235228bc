"""Tests of many cases: `make test` runs a share of them, `make test-slow` the others."""

from collections.abc import Iterable
from typing import Any

import pytest


def one_of(each: int, cases: Iterable[Any]) -> list[Any]:
    """The first of every `each` cases is run always; the others are marked as slow."""
    return [case if number % each == 0 else _slow(case) for number, case in enumerate(cases)]


def _slow(case: Any) -> Any:
    values = case if isinstance(case, tuple) else (case,)
    return pytest.param(*values, marks=pytest.mark.slow)
