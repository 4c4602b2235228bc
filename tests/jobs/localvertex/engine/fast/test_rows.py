import pytest
import torch

from jobs.localvertex.engine.fast.rows import Rows, list_own_lengths

TOKENS = torch.tensor([1, 2, 3, 4, 5, 1, 2, 3, 6, 1, 2, 3, 4, 7, 8])
LENGTHS = [5, 4, 6]


def rows_of(keep: list[int]) -> Rows:
    return Rows.of(TOKENS, LENGTHS, torch.tensor(keep, dtype=torch.int64))


def test_what_all_rows_begin_with_is_there_once() -> None:
    rows = rows_of([3, 8, 12, 13])
    assert (rows.shared, list_own_lengths(LENGTHS, rows.shared)) == (3, [5, 1, 3])
    assert rows.tokens.tolist() == [1, 2, 3, 4, 5, 6, 4, 7, 8]
    assert rows.positions.tolist() == [0, 1, 2, 3, 4, 3, 3, 4, 5]
    assert rows.keep.tolist() == [3, 5, 6, 7]
    assert torch.equal(rows.tokens[rows.keep], TOKENS[[3, 8, 12, 13]])


@pytest.mark.parametrize(("keep", "shared"), [([3, 6, 12], 1), ([0, 8, 12], 0), ([], 0)])
def test_each_row_has_its_own_tokens_before_answers(keep: list[int], shared: int) -> None:
    rows = rows_of(keep)
    assert (rows.shared, len(rows.tokens)) == (shared, len(TOKENS) - 2 * shared)
    assert torch.equal(rows.tokens[rows.keep], TOKENS[keep])


def test_no_row_is_left_out_as_a_whole() -> None:
    assert Rows.of(torch.tensor([1, 2, 1, 2]), [2, 2], torch.tensor([1, 3])).shared == 1


def test_one_row_stays_as_it_is() -> None:
    rows = Rows.of(TOKENS, [len(TOKENS)], torch.tensor([3]))
    assert (rows.shared, rows.keep.tolist()) == (0, [3])
    assert torch.equal(rows.tokens, TOKENS)


def test_whole_rows() -> None:
    rows = Rows.whole(TOKENS, LENGTHS, torch.tensor([3, 8]))
    assert (rows.shared, rows.positions.tolist()) == (0, [0, 1, 2, 3, 4, 0, 1, 2, 3, 0, 1, 2, 3, 4, 5])


@pytest.mark.parametrize(("multiple", "added"), [(3, 0), (4, 3), (8, 7)])
def test_a_row_more_makes_the_tokens_a_multiple(multiple: int, added: int) -> None:
    rows = rows_of([3, 8, 12, 13])
    padded = rows.pad(multiple)
    assert (
        len(padded.tokens) == len(padded.positions) == sum(list_own_lengths(padded.lengths, padded.shared)) == 9 + added
    )
    assert padded.positions[9:].tolist() == [3, 4, 5, 6, 7, 8, 9][:added]
    assert torch.equal(padded.tokens[padded.keep], rows.tokens[rows.keep])
