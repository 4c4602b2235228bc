import io
import json

import pytest

from jobs.models import WorkKind
from jobs.services.datasets import datasets
from jobs.services.datasets.edits import changes, pending, works
from tests.support import factories

pytestmark = pytest.mark.django_db


def row(text):
    return json.dumps({"prompt": f"What about the {text}?", "completion": f"It is the {text}."}).encode()


def create(owner, *texts):
    content = b"".join(row(text) + b"\n" for text in texts)
    return datasets.create(owner, file=io.BytesIO(content), file_name="q.jsonl", name="Questions")


def compare(owner, before, after):
    result = changes.compare(create(owner, *before), create(owner, *after))
    return result["changed"], result["added"], result["removed"], result["same"]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("abc", "abc", ([], [], [], 3)),
        ("abc", "abcd", ([], [4], [], 3)),
        ("abc", "bc", ([], [], [1], 2)),
        (["a", "harbour at night", "c"], ["a", "harbour at noon", "c"], ([[2, 2]], [], [], 2)),
        (["a", "harbour at night", "c"], ["x", "a", "harbour at noon", "c"], ([[2, 3]], [1], [], 2)),
        ("aab", "ab", ([], [], [2], 2)),
        ("abc", "cab", ([], [], [], 3)),
    ],
)
def test_rows_are_added_removed_and_changed(owner, before, after, expected):
    assert compare(owner, before, after) == expected


def test_other_rows_in_the_same_place_are_no_changes(owner):
    changed, added, removed, _same = compare(
        owner, ["harbour " + "mast sail reef tide gull knot"], ["".join(map(chr, range(200, 400)))]
    )
    assert (changed, added, removed) == ([], [1], [1])


def test_a_row_that_was_rewritten_here_is_a_change(owner):
    dataset = create(owner, "a", "b")
    data = b'{"prompt": "1234567890", "completion": "zzzzzzzzzzzz"}'
    pending.change(dataset, 2, data, pending.fingerprint(row("b")))
    pending.delete(dataset, 1)
    work = works.begin(dataset, WorkKind.EDITS, {"latest": str(dataset.pk)})
    works.advance(work.pk, factories.NOW)
    work.refresh_from_db()
    result = changes.compare(dataset, work.made)
    assert (result["changed"], result["added"], result["removed"]) == ([[2, 1]], [], [1])


def test_a_row_that_was_edited_here_is_a_change_though_another_reads_like_it_did(owner):
    """Of rows that stand there twice, the one that was edited and not the last one."""
    dataset = create(owner, "mast", "sail", "mast", "sail")
    pending.change(dataset, 1, row("mast at night"), pending.fingerprint(row("mast")))
    pending.delete(dataset, 2)
    work = works.begin(dataset, WorkKind.EDITS, {"latest": str(dataset.pk)})
    works.advance(work.pk, factories.NOW)
    work.refresh_from_db()
    result = changes.compare(dataset, work.made)
    assert (result["changed"], result["added"], result["same"]) == ([[1, 1]], [], 2)
    assert len(result["removed"]) == 1
