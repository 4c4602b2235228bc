import pytest

from jobs.text.numbers import plain


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (2e-05, "0.00002"),
        (1e-300, f"0.{'0' * 299}1"),
        (0.1, "0.1"),
        (3.0, "3"),
        (100.0, "100"),
        (200, "200"),
        (0.0, "0"),
    ],
)
def test_a_number_has_all_its_digits_and_no_exponent(number, text):
    assert plain(number) == text
