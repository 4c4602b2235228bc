import gc

import pytest

from console import garbage


@pytest.fixture(autouse=True)
def as_before():
    before = gc.get_threshold(), gc.isenabled()
    yield
    gc.set_threshold(*before[0])
    assert gc.isenabled() == before[1]


def test_a_start_is_seldom_interrupted_and_a_page_never_for_long() -> None:
    garbage.collect_seldom()
    first = gc.get_threshold()[0]
    garbage.freeze_imported()
    assert (first, gc.get_threshold()[0], gc.get_freeze_count() > 0) == (50_000, 10_000, True)
