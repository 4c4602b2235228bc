import io
import json
from array import array

import pytest

from jobs import errors
from jobs.models import Dataset
from jobs.services.datasets import datasets, derive as making, policies, preview
from jobs.services.datasets.file import Line, Report
from jobs.services.datasets.images.judge import Judge
from jobs.services.datasets.measure import Measure
from jobs.services.datasets.versions import compare_hashes
from tests.support import factories
from tests.support.stored import path_of

pytestmark = pytest.mark.django_db
PICTURE = "data:image/png;base64,iVBORw0KGgo="


def create(owner, rows, name="Questions", **values):
    content = "".join(json.dumps(row) + "\n" for row in rows).encode()
    return datasets.create(owner, file=io.BytesIO(content), file_name="q.jsonl", name=name, **values)


def pairs(*numbers):
    return [{"prompt": f"Question {number}?", "completion": f"Answer {number}."} for number in numbers]


def lines(dataset):
    return set(path_of(dataset).read_text().splitlines())


def test_a_split_has_every_row_once_and_its_parts_know_each_other(owner):
    dataset = create(owner, pairs(*range(100)))
    train, validation = making.split(dataset, share=10, seed=1)
    assert (train.valid_rows, validation.valid_rows) == (90, 10)
    assert (lines(train) | lines(validation), lines(train) & lines(validation)) == (lines(dataset), set())
    train.refresh_from_db()
    validation.refresh_from_db()
    assert (train.sibling, validation.sibling, train.split_of) == (validation, train, dataset)
    assert (train.name, validation.name) == ("Questions (train)", "Questions (validation)")


def test_the_same_split_is_made_once_and_another_seed_makes_a_version(owner):
    dataset = create(owner, pairs(*range(50)))
    first = making.split(dataset, share=10, seed=1)
    assert making.split(dataset, share=10, seed=1) == first
    again, _validation = making.split(dataset, share=10, seed=2)
    assert (again.version, again.family, lines(again) == lines(first[0])) == (2, first[0].family, False)


def test_equal_rows_stay_together(owner):
    train, validation = making.split(create(owner, pairs(*range(10)) * 3), share=20, seed=4)
    assert (train.valid_rows % 3, validation.valid_rows % 3, lines(train) & lines(validation)) == (0, 0, set())


def test_what_cannot_be_split_says_why(owner):
    with pytest.raises(errors.NotAllowedNow, match="too few distinct rows"):
        making.split(create(owner, pairs(1, 1)), share=10, seed=1)
    large = factories.dataset(owner=owner, valid_rows=80_000)
    with pytest.raises(errors.NotAllowedNow, match="at most 5000 rows, and this share has 8000. Choose 6% or less"):
        making.split(large, share=10, seed=1)


def test_a_file_under_the_same_name_is_a_version(owner):
    old = create(owner, pairs(1, 2, 3))
    datasets.describe(old, name="Questions", description="About ships")
    new = create(owner, pairs(2, 3, 4, 4))
    old.refresh_from_db()
    assert (new.version, new.family, new.description) == (2, old.family, "About ships")
    assert new.changes == {"added": 2, "removed": 1, "same": 2}
    assert (old.is_latest, list(Dataset.objects.latest_versions())) == (False, [new])


def test_deleting_the_latest_version_brings_the_one_before_back(owner):
    old, new = create(owner, pairs(1)), create(owner, pairs(2))
    datasets.delete(new)
    old.refresh_from_db()
    assert (old.is_latest, create(owner, pairs(3)).version) == (True, 2)


def test_other_people_have_their_own_versions(owner, stranger):
    assert [create(who, pairs(1)).version for who in (owner, stranger)] == [1, 1]


def test_a_name_in_use_is_refused_and_a_new_one_is_for_all_versions(owner):
    create(owner, pairs(1), "Other")
    old, new = create(owner, pairs(1)), create(owner, pairs(2))
    with pytest.raises(errors.NotAllowedNow, match="already have"):
        datasets.describe(new, name="Other", description="")
    datasets.describe(new, name="Ships", description="")
    assert set(Dataset.objects.filter(pk__in=[old.pk, new.pk]).values_list("name", flat=True)) == {"Ships"}


def test_the_same_file_is_found_by_its_bytes(owner, stranger):
    dataset = create(owner, pairs(1))
    file = io.BytesIO(path_of(dataset).read_bytes())
    assert (datasets.same_file(owner, file), file.tell(), datasets.same_file(stranger, file)) == (dataset, 0, None)


@pytest.mark.parametrize(
    ("old", "new", "counts"),
    [([], [], (0, 0, 0)), ([1, 2], [2, 3], (1, 1, 1)), ([1, 1], [1], (0, 1, 1)), ([], [5, 5], (2, 0, 0))],
)
def test_rows_are_compared_as_often_as_they_stand_there(old, new, counts):
    found = compare_hashes(array("Q", old), array("Q", new))
    assert (found["added"], found["removed"], found["same"]) == counts


def test_lengths_are_exact_and_limits_are_edges():
    measure = Measure()
    for row, tokens in enumerate([10, 20, 20, 2048, 2049], 1):
        measure.add(row + 1, row, tokens, 4 * tokens, 10)
    found = measure.as_dict()
    assert (found["median"], found["p95"], found["longest"], found["longest_line"]) == (20, 2049, 2049, 6)
    assert [entry for entry in found["bins"] if entry[2]] == [[8, 12, 1], [16, 24, 2], [1536, 2048, 1], [2048, 3072, 1]]
    assert Measure().as_dict() == {}


def test_the_longest_rows_are_kept_with_their_images():
    measure = Measure()
    for row in range(1, 101):
        measure.add(row, row, (row * 37) % 101 + 258 * (row % 3), 4, 1, images=row % 3)
    found = measure.as_dict()["longest_rows"]
    by_length = sorted(((row * 37) % 101 + 258 * (row % 3), row % 3) for row in range(1, 101))[::-1]
    assert found == [[tokens - 258 * images, images] for tokens, images in by_length[:32]]


def test_a_data_set_of_before_is_measured_when_asked(owner):
    dataset = factories.dataset(owner=owner)
    datasets.check_again(dataset)
    dataset.refresh_from_db()
    assert (dataset.stats["longest"], dataset.valid_rows) == (21, 12)


def test_the_lengths_of_the_rows_add_up_to_the_tokens_of_the_data(owner):
    """Of Korean, of code, of short and of long rows, and of those whose texts are not looked at each."""
    texts = [
        "안녕하세요, 오늘 날씨가 어때요?",
        "for x in range(10): print(x ** 2)",
        "Yes.",
        "A word and another. " * 40,
    ]
    rows = [{"prompt": text, "completion": text[::-1]} for text in texts * 750]
    dataset = create(owner, rows)
    lengths = Report(owner.pk, Judge(owner))
    for number, row in enumerate(rows, 1):
        lengths.add(Line(number, json.dumps(row).encode()))
    added = sum(tokens * count for tokens, count in lengths.measure.rows.items())
    assert abs(added / dataset.token_estimate - 1) < 0.03
    assert dataset.rows_over == dict(lengths.rows_over)


def test_a_version_of_a_part_goes_with_the_other_part(owner):
    train, validation = making.split(create(owner, pairs(*range(100))), share=10, seed=1)
    train.refresh_from_db()
    shorter = Dataset.objects.get(pk=making.leave_out_rows(train, [3]).pk)
    again = Dataset.objects.get(pk=making.leave_out_rows(shorter, [5]).pk)
    assert [policies.split_pair(one) for one in (shorter, again)] == [(shorter, validation), (again, validation)]
    newer = Dataset.objects.get(pk=making.leave_out_rows(Dataset.objects.get(pk=validation.pk), [1]).pk)
    assert policies.split_pair(newer) == (again, newer)
    assert policies.split_pair(Dataset.objects.get(pk=again.pk)) == (again, newer)
    assert policies.why_not_split(again).startswith("This dataset is part of a split.")


def test_a_repeated_field_is_told(owner):
    file = io.BytesIO(b'{"prompt": "a", "prompt": "b", "completion": "c"}\n')
    note = "1 row has a duplicate field: prompt in line 1. The last value is used."
    assert datasets.create(owner, file=file, file_name="a.jsonl").notes == [note]


def test_rows_are_shown_from_a_line_on(owner):
    page = preview.page_of_rows(create(owner, pairs(*range(1, 31))), 5)
    assert ([row.line for row in page.rows], page.following) == (list(range(5, 15)), 15)
    assert page.rows[0].turns[1] == preview.Turn("assistant", "Answer 5.")


def test_rows_are_found_by_their_text_and_not_by_how_it_is_written(owner):
    dataset = create(owner, [*pairs(1, 2), {"prompt": "Größe?", "completion": "Ja\nwohl"}])
    found = [preview.page_of_rows(dataset, 1, text).rows for text in ("GRÖSSE", "größe", "ja\nwohl", "prompt")]
    assert [[row.line for row in rows] for rows in found] == [[3], [3], [3], []]


def test_a_search_stops_after_so_many_bytes(owner):
    page = preview.page_of_rows(create(owner, pairs(*range(100))), 1, "nowhere", most=200)
    assert (page.rows, page.searched_to, page.following) == ([], 3, 4)


def test_pictures_are_shown_only_from_inside_the_row(owner):
    places = [PICTURE, "https://example.com/x.png", "data:image/svg+xml;base64,PHN2Zz4=", "data:image/png;base64,x"]
    content = [{"type": "image_url", "image_url": {"url": place}} for place in places]
    dataset = create(owner, [{"messages": [{"role": "user", "content": content}]}])
    pictures = preview.page_of_rows(dataset, 1).rows[0].turns[0].pictures
    assert [picture.url for picture in pictures] == [PICTURE, "", "", ""]
    assert pictures[1].source == "https://example.com/x.png"


@pytest.mark.parametrize(
    "line", ["", "bad", "[" * 3000, '{"messages": [3, null]}', '{"contents": [{"parts": 3}]}', "null"]
)
def test_any_row_can_be_shown(owner, line):
    file = io.BytesIO(f'{line}\n{{"prompt": "a", "completion": "b"}}\n'.encode())
    dataset = datasets.create(owner, file=file, file_name="a.jsonl")
    assert preview.page_of_rows(dataset, 1).rows[-1].turns[0].text == "a"
