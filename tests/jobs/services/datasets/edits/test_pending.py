import io
import json
import random

import pytest

from jobs import errors
from jobs.models import Dataset, DatasetWork, RowEdit, WorkKind
from jobs.services.datasets import datasets
from jobs.services.datasets.edits import pending, works
from tests.support import factories
from tests.support.stored import path_of

pytestmark = pytest.mark.django_db
# As no serialiser would write them: what is not edited has to stay like this.
ODD = [
    b'{"prompt":"One?","completion" :  "1"}',
    b'{"completion": "2", "prompt": "Two? \\u00e9 \xc3\xa9", "note": [1.0, 1e2]}',
    b'{"prompt": "Three?", "completion": "3"}\t',
]
NEW = b'{"prompt": "New?", "completion": "Yes."}'


def create(owner, rows=ODD, name="Questions"):
    content = b"".join(row + b"\n" for row in rows)
    return datasets.create(owner, file=io.BytesIO(content), file_name="q.jsonl", name=name)


def change(dataset, line, data):
    pending.change(dataset, line, data, pending.fingerprint(pending.row_at(dataset, line)))


def save(dataset, latest=None):
    work = works.begin(dataset, WorkKind.EDITS, {"latest": str((latest or dataset).pk)})
    works.advance(work.pk, factories.NOW)
    work.refresh_from_db()
    return work


def test_untouched_rows_stay_byte_for_byte_and_the_version_before_stays_whole(owner):
    dataset = create(owner)
    before = path_of(dataset).read_bytes()
    change(dataset, 2, NEW)
    pending.add(dataset, NEW)
    made = save(dataset).made
    assert path_of(made).read_bytes() == b"\n".join([ODD[0], NEW, ODD[2], NEW, b""])
    assert (path_of(dataset).read_bytes(), made.version, made.is_usable) == (before, 2, True)
    assert made.changes == {"added": 1, "removed": 0, "same": 2, "changed": 1}
    assert RowEdit.objects.count() == 0


@pytest.mark.parametrize("seed", [1, 2])
def test_whatever_is_edited_the_other_rows_are_copied(owner, seed):
    chance = random.Random(seed)
    rows = [chance.choice(ODD) for _row in range(40)]
    dataset, expected = create(owner, rows), list(rows)
    for line in chance.sample(range(1, 41), 15):
        if chance.random() < 0.5:
            pending.delete(dataset, line)
            expected[line - 1] = b""
        else:
            expected[line - 1] = b'{"prompt": "%d", "completion":"x"}' % line
            change(dataset, line, expected[line - 1])
    pending.add(dataset, NEW)
    made = save(dataset).made
    assert path_of(made).read_bytes().splitlines() == [*filter(None, expected), NEW]


def test_a_deleted_row_is_gone_and_comes_back_by_undoing(owner):
    dataset = create(owner)
    pending.delete(dataset, 1)
    pending.delete(dataset, 3)
    pending.undo(dataset, RowEdit.objects.get(line=3).pk)
    assert pending.count(dataset) == pending.Counts(deleted=1)
    assert path_of(save(dataset).made).read_bytes() == b"\n".join([ODD[1], ODD[2], b""])


def test_a_row_as_it_was_is_no_change(owner):
    dataset = create(owner)
    change(dataset, 1, NEW)
    change(dataset, 1, ODD[0])
    assert (RowEdit.objects.count(), save(dataset).error) == (0, "There are no unsaved changes.")


def test_the_slower_of_two_tabs_is_told_and_changes_nothing(owner):
    dataset = create(owner)
    seen = pending.fingerprint(ODD[0])
    pending.change(dataset, 1, NEW, seen)
    with pytest.raises(pending.RowConflict, match="changed in another tab"):
        pending.change(dataset, 1, ODD[1], seen)
    assert pending.row_at(dataset, 1) == NEW


def test_a_version_that_came_meanwhile_is_said_and_the_edits_are_kept(owner):
    dataset = create(owner)
    change(dataset, 1, NEW)
    other = create(owner, [NEW])
    with pytest.raises(errors.NotAllowedNow, match="Version 2 was added after you opened this page"):
        save(dataset)
    assert (pending.count(dataset).changed, Dataset.objects.count()) == (1, 2)
    assert save(dataset, latest=other).made.version == 3


def test_what_is_saved_cannot_be_edited_at_the_same_time(owner):
    dataset = create(owner)
    change(dataset, 1, NEW)
    works.begin(dataset, WorkKind.EDITS, {"latest": str(dataset.pk)})
    with pytest.raises(errors.NotAllowedNow, match="are being saved"):
        change(dataset, 1, ODD[1])


def test_a_version_that_was_saved_before_the_worker_died_is_found_again(owner):
    dataset = create(owner)
    change(dataset, 1, NEW)
    work = save(dataset)
    DatasetWork.objects.filter(pk=work.pk).update(state="WAITING", made=None)
    works.advance(work.pk, factories.NOW)
    again = DatasetWork.objects.get(pk=work.pk)
    assert (again.made, again.state, Dataset.objects.count()) == (work.made, "READY", 2)


@pytest.mark.parametrize(
    ("data", "field", "sentence"),
    [
        (b'{"prompt": "x"', "", "The line is not JSON"),
        (b'{"prompt": "x"}', "completion", "The field is missing."),
        (b'{"messages": [{"role": "boss", "content": "x"}]}', "messages[0].role", "Unknown role: boss."),
        (b'{"prompt": "\\u0000", "completion": "x"}', "prompt", "a character that is not allowed"),
        (b"", "", "none of the fields"),
        (b'{"prompt": "' + b"x" * pending.LONGEST_EDITED + b'", "completion": "x"}', "", "can have at most 1 MB"),
    ],
)
def test_a_wrong_row_is_refused_with_its_field(owner, data, field, sentence):
    dataset = create(owner)
    with pytest.raises(errors.InvalidValues) as caught:
        change(dataset, 1, data)
    problem = caught.value.problems[0]
    assert (problem.field, sentence in problem.sentence, RowEdit.objects.count()) == (field, True, 0)


def test_edits_are_bounded(owner):
    dataset = create(owner)
    change(dataset, 2, NEW)
    RowEdit.objects.bulk_create(RowEdit(dataset=dataset, text=NEW.decode()) for _row in range(pending.MOST_EDITS - 1))
    change(dataset, 2, ODD[0])
    with pytest.raises(errors.NotAllowedNow, match="many unsaved changes"):
        pending.add(dataset, NEW)


def test_no_row_left_is_refused_and_a_table_cannot_be_edited(owner):
    dataset = create(owner, [NEW])
    pending.delete(dataset, 1)
    assert (save(dataset).error, Dataset.objects.count()) == ("No row would be left. Keep at least one.", 1)
    table = datasets.create(owner, file=io.BytesIO(b"prompt,answer\na,b\n"), file_name="a.csv")
    with pytest.raises(errors.NotAllowedNow, match="Convert this dataset first"):
        pending.add(table, NEW)


@pytest.mark.fault("F20")
def test_without_room_for_a_version_the_edits_are_kept_and_nothing_is_left_behind(owner):
    dataset = create(owner)
    change(dataset, 1, NEW)
    Dataset.objects.update(byte_size=2**60)
    assert "The disk of the data directory is nearly full" in save(dataset).error
    assert (pending.count(dataset).changed, list(path_of(dataset).parent.iterdir())) == (1, [path_of(dataset)])


def test_jobs_keep_the_version_that_they_used(owner):
    dataset = create(owner)
    job = factories.job(owner=owner, dataset=dataset)
    change(dataset, 1, NEW)
    save(dataset)
    job.refresh_from_db()
    assert (job.dataset, json.loads(path_of(dataset).read_bytes().splitlines()[0])["prompt"]) == (dataset, "One?")
