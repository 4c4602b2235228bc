import errno
from typing import Any

import pytest

from jobs.localvertex.api.errors import invalid
from jobs.localvertex.batch.answering import Answering
from jobs.localvertex.batch.rows import Row
from jobs.localvertex.shortages import shortage_of

NOTHING: Any = None  # rows with a problem ask no model
ROWS = [Row(number, "{", problem=invalid("The row is not valid JSON")) for number in range(9)]


def test_every_row_has_one_end():
    noted = []
    answering = Answering(NOTHING, NOTHING, NOTHING, {}, lambda row, _answer, error: noted.append((row.number, error)))
    answering.run(ROWS, lambda: False)
    assert sorted(number for number, _ in noted) == [*range(9)]
    assert {str(error) for _, error in noted} == {"The row is not valid JSON"}


def test_rows_are_left_when_everything_is_stopped():
    noted = []
    answering = Answering(NOTHING, NOTHING, NOTHING, {}, lambda row, *_: noted.append(row))
    answering.run(ROWS, lambda: True)
    assert noted == []


def test_what_has_run_out_is_told_as_such():
    def note(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space left") as full:
        Answering(NOTHING, NOTHING, NOTHING, {}, note).run(ROWS, lambda: False)
    assert "disk" in shortage_of(full.value)
