from pathlib import Path

import pytest

from tests.support.matrix import KINDS, PAGE, ROOT, collect, insert, read_rows


@pytest.mark.parametrize("kind", KINDS)
def test_every_row_has_a_test(kind: str) -> None:
    rows, _unknown = collect(kind)
    assert [row.name for row in rows.values() if row.file not in row.tests] == []


@pytest.mark.parametrize("kind", KINDS)
def test_every_marker_names_a_row(kind: str) -> None:
    _rows, unknown = collect(kind)
    assert unknown == []


@pytest.mark.parametrize(("kind", "letter", "count"), [("faults", "F", 30), ("threats", "T", 26)])
def test_no_row_is_left_out(kind: str, letter: str, count: int) -> None:
    assert list(read_rows(kind)) == [f"{letter}{number}" for number in range(1, count + 1)]


@pytest.mark.parametrize(("kind", "folder"), [("faults", "tests/faults"), ("threats", "tests/security")])
def test_every_file_of_the_folder_covers_a_row(kind: str, folder: str) -> None:
    rows, _unknown = collect(kind)
    covering = {path for row in rows.values() for path in row.tests}
    files = {path.relative_to(ROOT).as_posix() for path in Path(ROOT, folder).glob("test_*.py")}
    assert sorted(files - covering) == []


def test_the_page_shows_the_tables_of_today() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert insert(page) == page, "docs/reliability.md is stale; run: python -m tests.support.matrix"
