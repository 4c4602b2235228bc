"""The bytes of a step, by what the server tells of rows, images and masks."""

import pytest

from jobs.services.costs.training_memory import Row, add_bytes, find_rows
from tests.support import factories

MODE = {"fixed": 1000, "rank": 10, "saving": 50, "step": 20, "answer": 1, "rows": {"16": 160, "64": 320}}
PADDED = MODE | {"padded": True, "mask": 1024**2, "even_mask": 0}


STATS = {"longest": 64, "answer_share": 50, "longest_rows": [[64, 2], [32, 0], [16, 1]]}


def dataset(valid_rows=100, stats=STATS, **changes):
    return factories.dataset(valid_rows=valid_rows, stats=stats, **changes)


@pytest.mark.django_db
def test_rows_that_were_kept_and_as_many_more_as_a_step_may_have():
    kept = [Row(64, 32, 2), Row(32, 16), Row(16, 8, 1)]
    assert find_rows(dataset(), 2, 0) == kept
    assert find_rows(dataset(), 5, 0) == [*kept, Row(16, 8, 1), Row(16, 8, 1)]
    assert find_rows(dataset(valid_rows=3), 5, 0) == kept
    assert find_rows(dataset(), 2, 32) == [Row(32, 16, 2), Row(32, 16), Row(16, 8, 1)]
    assert find_rows(dataset(stats={}), 2, 0) == []


@pytest.mark.django_db
def test_images_are_as_many_tokens_as_the_base_model_makes_of_them():
    seen = dataset(stats={"longest": 600, "longest_rows": [[84, 2], [400, 0]]})
    assert find_rows(seen, 2, 0, 18) == [Row(400, 400), Row(120, 120, 2)]
    assert find_rows(seen, 2, 0, 258) == [Row(600, 600, 2), Row(400, 400)]


@pytest.mark.django_db
def test_of_a_dataset_that_was_checked_before_the_longest_row_counts():
    """With as many images as a row has, rounded up."""
    old = dataset(stats={"longest": 640}, valid_rows=10, image_count=11)
    assert find_rows(old, 2, 0, 18) == [Row(640, 640, 2)] * 2


def test_rows_of_about_one_length_make_a_step():
    rows = [Row(64, 32), Row(16, 8), Row(16, 8)]
    assert add_bytes(MODE, 4, rows, 1) == 1000 + 40 + 20 + 320 + 32
    assert add_bytes(MODE, 4, rows, 2) == 1000 + 40 + 20 + 320 + 160 + 40
    assert add_bytes(MODE | {"saving": 5000}, 0, rows, 2) == 6000


def test_padded_rows_are_as_long_as_the_longest_and_have_masks():
    rows = [Row(64, 32), Row(16, 8)]
    assert add_bytes(PADDED, 0, rows, 2) == 1000 + 20 + 2 * 320 + 40 + 2 * 64**2
    assert add_bytes(PADDED, 0, [Row(64, 20)] * 2, 2) == 1000 + 20 + 2 * 320 + 40
    assert add_bytes(PADDED | {"even_mask": 1024**2}, 0, [Row(64, 20)], 1) == 1000 + 20 + 320 + 20 + 64**2


def test_images_are_beside_a_step_and_what_reads_them_is_gone_before_it():
    rows, seen = [Row(16, 0, 3), Row(16, 0, 1)], MODE | {"shown": 5}
    assert add_bytes(seen, 0, rows, 2) == 1000 + 20 + 320 + 4 * 5
    assert add_bytes(seen | {"image": 200}, 0, rows, 2) == 1000 + 4 * 205
    assert add_bytes(seen | {"image": 200}, 0, rows, 1) == 1000 + 3 * 205
