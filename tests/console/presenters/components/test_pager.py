import uuid
from datetime import UTC, datetime

import pytest
from django.http import QueryDict

from console.presenters.components.pager import (
    CREATED,
    Head,
    address_of,
    heading,
    paginate,
    parse_key,
    parse_sort,
    serialize_key,
)
from jobs.models import Dataset
from jobs.models.keyset import Column, Key, Order
from tests.support import factories

HEADS = (
    Head("name", "Name", Column("name", str)),
    Head("format", "Format"),
    Head("size", "Size", Column("byte_size", int, largest_first=True), is_number=True),
    Head("created", "Added", CREATED),
)
PK = uuid.UUID(int=7)
NOON = factories.NOW


@pytest.mark.parametrize(
    ("text", "sort"),
    [
        ("", "-created"),
        ("created", "created"),
        ("name", "name"),
        ("-size", "-size"),
        ("format", "-created"),
        ("--name", "-created"),
    ],
)
def test_what_cannot_be_sorted_by_means_the_newest_first(text, sort):
    assert parse_sort(text, HEADS).text == sort


def test_creation_is_the_clock_itself():
    assert parse_sort("created", HEADS).order == Order(None, descending=False)


def test_a_table_without_a_date_can_be_sorted_by_creation():
    assert parse_sort("created", HEADS[:1]).order == Order(None, descending=False)


@pytest.mark.parametrize(
    ("sort", "name", "size", "created"),
    [
        ("", ("?sort=name", ""), ("?sort=-size", ""), ("?sort=created", "descending")),
        ("name", ("?sort=-name", "ascending"), ("?sort=-size", ""), ("?", "")),
        ("-size", ("?sort=name", ""), ("?sort=size", "descending"), ("?", "")),
    ],
)
def test_a_heading_turns_the_order_round(sort, name, size, created):
    shown = [heading(head, parse_sort(sort, HEADS), address_of(QueryDict())) for head in HEADS]
    assert [(one.url, one.order) for one in shown] == [name, ("", ""), size, created]


def test_an_address_keeps_what_the_list_is_filtered_by():
    address = address_of(QueryDict("q=a+b&sort=-created&after=x&state="))
    assert (address(), address(sort="name", after="[1]")) == ("?q=a+b", "?q=a+b&sort=name&after=%5B1%5D")


@pytest.mark.django_db
def test_pages_are_led_to_by_their_addresses():
    for number in range(3):
        factories.dataset(name=f"D{number}", byte_size=number)
    first = paginate(Dataset.objects.all(), QueryDict("sort=-size&q=d"), HEADS, 2)
    second = paginate(Dataset.objects.all(), QueryDict(first.next_url[1:]), HEADS, 2)
    assert [[row.name for row in page.rows] for page in (first, second)] == [["D2", "D1"], ["D0"]]
    assert [(page.is_first, page.first_url) for page in (first, second)] == [
        (True, "?sort=-size&q=d"),
        (False, "?sort=-size&q=d"),
    ]
    assert second.next_url == ""


@pytest.mark.parametrize(
    ("column", "value"),
    [
        (None, None),
        (Column("name", str), '선 & "so"'),
        (Column("size", int), 2**62),
        (Column("loss", float), 0.30000000000000004),
        (Column("loss", float, optional=True), None),
        (Column("updated_at", datetime), datetime(2026, 1, 2, 3, 4, 5, 678901, UTC)),
    ],
)
def test_a_key_is_read_as_it_was_written(column, value):
    key = Key(value, NOON, PK)
    assert parse_key(serialize_key(key), Order(column)) == key


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "{}",
        "[]",
        "[" * 2000,
        '["a","2026-11-24T12:00:00","00000000-0000-0000-0000-000000000007"]',
        '["a","2026-11-24T12:00:00+00:00","7"]',
        '["a\\u0000","2026-11-24T12:00:00+00:00","00000000-0000-0000-0000-000000000007"]',
        '[1,"2026-11-24T12:00:00+00:00","00000000-0000-0000-0000-000000000007"]',
        '[null,"2026-11-24T12:00:00+00:00","00000000-0000-0000-0000-000000000007"]',
        '["a","0001-01-01T00:00:00+23:59","00000000-0000-0000-0000-000000000007"]',
    ],
)
def test_a_key_that_nobody_wrote_is_none(text):
    assert parse_key(text, Order(Column("name", str))) is None


@pytest.mark.parametrize("value", ["NaN", "Infinity", "1e400", "9223372036854775808", '"5"', "true", "[]"])
def test_a_number_is_one_that_a_database_holds(value):
    text = f'[{value},"2026-11-24T12:00:00+00:00","{PK}"]'
    assert parse_key(text, Order(Column("size", int))) is None
