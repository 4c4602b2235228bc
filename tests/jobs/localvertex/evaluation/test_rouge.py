"""The expected values are those of the `rouge_score` package (0.1.2)."""

import pytest

from jobs.localvertex.api.errors import ApiError
from jobs.localvertex.evaluation.rouge import check_type, compute_rouge

SAID, WANTED = (
    "The quick brown fox jumped over the lazy dogs.",
    "A quick brown fox jumps over lazy dogs, quickly.",
)


@pytest.mark.parametrize(
    ("kind", "plain", "stemmed"),
    [
        ("1", 0.6666666666666666, 0.7777777777777778),
        ("2", 0.375, 0.625),
        ("L", 0.6666666666666666, 0.7777777777777778),
        ("Lsum", 0.6666666666666666, 0.7777777777777778),
    ],
)
def test_as_rouge_score(kind, plain, stemmed):
    assert compute_rouge(kind, SAID, WANTED) == pytest.approx(plain)
    assert compute_rouge(kind, SAID, WANTED, stemmed=True) == pytest.approx(stemmed)


def test_sentences_are_lines_or_found():
    """The example of Lin (2004), where the union of two subsequences counts four words of five."""
    said, wanted = "w1 w2 w6 w7 w8\nw1 w3 w8 w9 w5", "w1 w2 w3 w4 w5"
    assert compute_rouge("Lsum", said, wanted) == pytest.approx(0.5333333333333333)
    assert compute_rouge("Lsum", "B. C d. A", "A. B. C d.", split=True) == pytest.approx(1.0)
    assert compute_rouge("L", "B. C d. A", "A. B. C d.") == pytest.approx(0.75)


def test_nothing_is_alike():
    assert [compute_rouge(kind, "", "a") for kind in ("1", "L", "Lsum")] == [0, 0, 0]


@pytest.mark.parametrize(
    ("name", "kind"),
    [("", "L"), ("rouge1", "1"), ("rougen2", "2"), ("rouge_9", "9"), ("rougeL", "L"), ("rougeLsum", "Lsum")],
)
def test_types(name, kind):
    assert check_type(name, "f") == kind


@pytest.mark.parametrize("name", ["rouge0", "rouge10", "rougel", "bleu"])
def test_other_types_are_refused(name):
    with pytest.raises(ApiError, match="is not supported. Use rouge1 to rouge9, rougeL or rougeLsum"):
        check_type(name, "f")


def test_what_would_take_too_long_is_refused():
    long = "a " * 3000
    assert compute_rouge("L", long, long) == 1.0
    with pytest.raises(ApiError, match="too long for rougeLsum"):
        compute_rouge("Lsum", long, long)
