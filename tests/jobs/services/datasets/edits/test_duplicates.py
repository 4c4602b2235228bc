import io
import json
import random

import pytest

from jobs import errors
from jobs.models import Dataset, WorkKind
from jobs.services.datasets import datasets
from jobs.services.datasets.edits import choices, duplicates, works
from tests.support import factories
from tests.support.stored import path_of

WORDS = [f"{first}{second}" for first in ("sail", "mast", "reef", "tide", "gull", "knot") for second in "abcdefghij"]
BAD = b'{"prompt": "x"}'


def said(prompt, completion="Aye."):
    return json.dumps({"prompt": prompt, "completion": completion}).encode()


def sentence(chance, length=60):
    return " ".join(chance.choice(WORDS) for _word in range(length))


def find(rows, percent=80):
    return duplicates.find(io.BytesIO(b"".join(row + b"\n" for row in rows)), percent)


def lines(result):
    return [[line for line, _percent in group] for group in result["groups"]]


def test_equal_rows_are_found_whatever_their_case_width_spacing_and_format():
    messages = [{"role": "user", "content": "What is  that?"}, {"role": "assistant", "content": "ＡＹＥ."}]
    rows = [said("What is that?"), said("Else?"), said("WHAT is\nthat? "), json.dumps({"messages": messages}).encode()]
    assert find(rows, 0)["groups"] == [[[1, 100], [3, 100], [4, 100]]]


def test_near_duplicates_are_found_and_each_is_as_similar_as_it_says():
    chance = random.Random(1)
    rows = []
    for _row in range(40):
        text = sentence(chance)
        rows += [said(text), said(text.replace(text.split()[7], "other", 1))]
    result = find(rows)
    assert lines(result) == [[line, line + 1] for line in range(1, 81, 2)]
    for (first, _whole), (line, percent) in result["groups"]:
        one, other = (duplicates.pieces_of(duplicates.text_of(rows[each - 1])) for each in (first, line))
        assert percent == duplicates.similarity(one, other) >= 80
    assert lines(find(rows, 0)) == []


def test_a_row_is_never_left_out_for_a_row_that_it_is_not_similar_to():
    """A chain: each row is like the next, the first and the last are not alike."""
    chance = random.Random(2)
    words = sentence(chance).split()
    rows = []
    for step in range(20):
        words[3 * step] = f"changed{step}"
        rows.append(said(" ".join(words)))
    texts = [duplicates.pieces_of(duplicates.text_of(row)) for row in rows]
    result = find(rows)
    pairs = [(group[0][0], line) for group in result["groups"] for line, _percent in group[1:]]
    assert len(pairs) > 5
    assert [pair for pair in pairs if duplicates.similarity(*(texts[line - 1] for line in pair)) < 80] == []


def test_hostile_rows_are_compared_as_they_stand():
    rows = [b"\x00\xff\xfe", b"[" * 5000, BAD, BAD, b'{"prompt": "\\ud800", "completion": ""}', b"x" * 200_000]
    assert find(rows)["groups"] == [[[3, 100], [4, 100]]]


def test_thousands_of_rows_that_are_all_alike_come_to_an_end():
    """What would make every pair a candidate is bounded for each row."""
    rows = [said("The same question about the sea and all its ships, again and again: " + str(n)) for n in range(1000)]
    result = find(rows)
    assert (result["extra"] > 900, result["is_cut"]) == (True, False)


@pytest.mark.django_db
class TestVersions:
    ROWS = (said("One?"), said("Two?"), said("one?"), said("Two?", "No."), said("ONE?"))

    def create(self, owner, rows=ROWS):
        content = b"".join(row + b"\n" for row in rows)
        return datasets.create(owner, file=io.BytesIO(content), file_name="q.jsonl", name="Questions")

    def run(self, dataset, kind, **options):
        work = works.begin(dataset, kind, options)
        works.advance(work.pk, factories.NOW)
        work.refresh_from_db()
        return work

    def test_the_first_of_each_group_stays_unless_another_was_chosen(self, owner):
        dataset = self.create(owner)
        self.run(dataset, WorkKind.SEARCH, similarity=0)
        made = self.run(dataset, WorkKind.DUPLICATES, latest=str(dataset.pk)).made
        assert path_of(made).read_bytes().splitlines() == [self.ROWS[0], self.ROWS[1], self.ROWS[3]]
        choices.choose(dataset, {0: 5})
        again = self.run(dataset, WorkKind.DUPLICATES, latest=str(made.pk)).made
        assert path_of(again).read_bytes().splitlines() == [self.ROWS[1], self.ROWS[3], self.ROWS[4]]
        assert (again.version, [str(note) for note in again.notes]) == (
            3, ["Made in the browser from version 1.", "2 rows were left out."]
        )  # fmt: skip

    def test_keeping_all_makes_nothing_and_a_choice_of_an_older_list_is_refused(self, owner):
        dataset = self.create(owner)
        self.run(dataset, WorkKind.SEARCH, similarity=0)
        choices.choose(dataset, {0: choices.ALL})
        failed = self.run(dataset, WorkKind.DUPLICATES, latest=str(dataset.pk))
        assert (failed.error, Dataset.objects.count()) == (
            "You chose to keep all rows, so there is nothing to leave out.", 1
        )  # fmt: skip
        for chosen in ({7: 1}, {0: 2}):
            with pytest.raises(errors.NotAllowedNow, match="searched for again"):
                choices.choose(dataset, chosen)

    def test_bad_rows_are_left_out_and_the_others_stay_as_they_are(self, owner):
        dataset = self.create(owner, [BAD, b"", self.ROWS[0], b"not json", self.ROWS[1]])
        made = self.run(dataset, WorkKind.BAD_ROWS, latest=str(dataset.pk)).made
        assert (path_of(made).read_bytes().splitlines(), made.is_usable) == ([self.ROWS[0], self.ROWS[1]], True)
        assert (dataset.invalid_rows, made.changes) == (2, {"added": 0, "removed": 2, "same": 2})

    def test_what_cannot_be_left_out_says_why(self, owner):
        good, bad = self.create(owner), self.create(owner, [BAD])
        for dataset, reason in ((good, "All rows of this dataset can be used."), (bad, "None of the rows can be used")):
            with pytest.raises(errors.NotAllowedNow, match=reason):
                works.begin(dataset, WorkKind.BAD_ROWS, {"latest": str(bad.pk)})

    def test_work_that_ends_its_worker_is_given_up(self, owner):
        dataset = self.create(owner)
        work = works.begin(dataset, WorkKind.SEARCH, {"similarity": 0})
        type(work).objects.update(tries=works.TRIES)
        works.advance(work.pk, factories.NOW)
        work.refresh_from_db()
        assert (work.state, "several times" in work.error, works.due(factories.NOW)) == ("FAILED", True, [])

    def test_a_file_that_is_gone_is_said_and_leaves_nothing(self, owner):
        dataset = self.create(owner)
        path_of(dataset).unlink()
        work = self.run(dataset, WorkKind.SEARCH, similarity=0)
        assert (work.state, "missing from this server" in work.error) == ("FAILED", True)
