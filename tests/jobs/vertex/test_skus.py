"""What is read of a line of the price catalogue, and that no line in another form becomes a price."""

from copy import deepcopy
from decimal import Decimal

import pytest

from jobs.vertex.skus import Sku, SkuPage, read_page, read_sku
from tests.support.price_catalogue import line

DESCRIPTION = "Vertex AI: Online/Batch Prediction Nvidia L4 GPU running in Iowa"
FOUND = Sku(DESCRIPTION, ("us-central1",), "OnDemand", "h", Decimal("0.644500001"))


def test_a_line():
    assert read_sku(line(DESCRIPTION, "0.644500001")) == FOUND


def test_whole_dollars_and_no_whole_dollars():
    assert (read_sku(line("x", "3")).usd, read_sku(line("x", "0.5")).usd) == (Decimal(3), Decimal("0.5"))


def broken(*path, value=None):
    raw = deepcopy(line(DESCRIPTION, "1"))
    place = raw
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return raw


EXPRESSION = ("pricingInfo", 0, "pricingExpression")


@pytest.mark.parametrize(
    "raw",
    [
        None,
        "line",
        [],
        {},
        broken("pricingInfo", value=[]),
        broken("pricingInfo"),
        broken("category"),
        broken("serviceRegions"),
        broken(*EXPRESSION, "tieredRates", value=[]),
        broken(*EXPRESSION, "tieredRates", value=[{}, {}]),
        broken(*EXPRESSION, "tieredRates", 0, "unitPrice", "currencyCode", value="EUR"),
        broken(*EXPRESSION, "tieredRates", 0, "unitPrice", "units", value="many"),
        broken(*EXPRESSION, "tieredRates", 0, "unitPrice", "nanos", value={}),
        broken(*EXPRESSION, "tieredRates", 0, "unitPrice", "units", value=float("inf")),
    ],
)
def test_a_line_in_another_form_is_no_price(raw):
    assert read_sku(raw) is None


def test_a_long_description_is_cut():
    """It is searched by patterns that take the square of its length."""
    assert len(read_sku(line("Vertex AI: Online/Batch Prediction " + "x in " * 100_000 + "\n", "1")).description) == 300


def test_a_page_keeps_what_can_be_read():
    page = {"skus": [line(DESCRIPTION, "0.644500001"), {}], "nextPageToken": "next"}
    assert read_page(page) == SkuPage((FOUND,), "next")


@pytest.mark.parametrize("raw", [{}, {"skus": "none"}, {"nextPageToken": None}])
def test_a_page_without_lines(raw):
    assert read_page(raw) == SkuPage((), "")
