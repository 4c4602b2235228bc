import pytest

from console.presenters.components import plots
from console.presenters.components.plots import Bar


def test_bars_stand_on_the_ground():
    assert plots.bars([0, 2, None, 4], 4, width=40, height=20, gap=2) == [Bar(11, 10, 8, 10), Bar(31, 0, 8, 20)]


def test_a_small_value_is_seen():
    assert plots.bars([1], 1000, width=10, height=20, gap=0) == [Bar(0, 19, 10, 1)]


@pytest.mark.parametrize(
    ("values", "lines"),
    [
        ([], []),
        ([None, None], []),
        ([0, 1], ["5.00,10.00 15.00,0.00"]),
        ([1, None, 2, 9], ["1.25,5.00 3.75,5.00", "12.50,0.00 17.50,0.00"]),
    ],
)
def test_lines_have_gaps_where_there_is_nothing(values, lines):
    top = 2 if len(values) == 4 else 1
    assert plots.lines(values, top, width=20, height=10) == lines
