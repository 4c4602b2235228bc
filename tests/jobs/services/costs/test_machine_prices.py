from decimal import Decimal

import pytest

from jobs.services.costs.machine_prices import price


@pytest.mark.parametrize(("machine", "usd"), [("g2-standard-24", "2.3014"), ("local-cpu", "0")])
def test_a_known_machine_has_a_price_with_its_source(machine, usd):
    found = price(machine)
    assert (found.usd_per_hour, found.region, found.as_of) == (Decimal(usd), "us-central1", "2026-07-08")


def test_an_unknown_machine_has_none():
    assert price("x9-mega-1") is None
