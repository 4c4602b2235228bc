"""The expected values are sacreBLEU's (2.6.0)."""

import pytest

from jobs.localvertex.evaluation.bleu import compute_bleu

SAID, WANTED = (
    "The quick brown fox jumped over the lazy dogs.",
    "A quick brown fox jumps over lazy dogs, quickly.",
)


@pytest.mark.parametrize(
    ("said", "wanted", "effective_order", "expected"),
    [
        (SAID, WANTED, False, 0.19331263581394154),
        ("quick brown", WANTED, True, 0.011108996538242311),
        ("quick brown", WANTED, False, 0.0),
        (WANTED, WANTED, False, 1.0),
        ("quick brown", "quick brown", True, 1.0),
        ("nothing alike", WANTED, True, 0.0),
        ("", WANTED, False, 0.0),
        (WANTED, "", True, 0.0),
    ],
)
def test_as_sacrebleu(said, wanted, effective_order, expected):
    assert compute_bleu(said, wanted, effective_order=effective_order) == pytest.approx(expected)


def test_signs_are_words_of_their_own():
    assert compute_bleu('It costs 1,000.5 (of "x").', "It costs 1,000.5 ( of &quot; x &quot; ) .") == pytest.approx(1.0)
