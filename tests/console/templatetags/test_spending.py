from decimal import Decimal

import pytest

from console.templatetags import spending


@pytest.mark.parametrize(
    ("amount", "told"),
    [("0.00", "< $0.01"), ("0.01", "≈ $0.01"), ("1234.5", "≈ $1,234.50")],
)
def test_an_estimate_of_less_than_a_cent_is_not_shown_as_nothing(amount: str, told: str) -> None:
    assert spending.about_money(Decimal(amount)) == told
