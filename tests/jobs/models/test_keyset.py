from datetime import datetime, timedelta
from itertools import product

import pytest

from jobs.models import Dataset, TuningJob
from jobs.models.keyset import Column, Order, cut, in_order
from tests.support import factories
from tests.support.share import each_once

pytestmark = pytest.mark.django_db
NAME, LOSS = Column("display_name", str), Column("train_loss", float, optional=True)
UPDATED = Column("updated_at", datetime)


@pytest.fixture
def many():
    """Few names, losses and moments, so that each is shared by several rows."""
    data = factories.dataset()
    for number in range(23):
        factories.job(
            dataset=data,
            display_name=f"J{number % 3}",
            train_loss=[None, 0.1, 0.30000000000000004, 2][number % 4],
            created_at=factories.NOW - timedelta(minutes=number // 5),
        )
    return TuningJob.objects.all()


def walked(rows, order, size):
    found, last = [], None
    while True:
        part = cut(rows, order, last, size)
        found += part.rows
        last = part.last
        if last is None:
            return found


@pytest.mark.parametrize(
    ("order", "size"), each_once(product([None, NAME, LOSS, UPDATED], [True, False]), [1, 2, 5, 22, 23, 24])
)
def test_every_row_is_met_once_in_one_order(many, order, size):
    column, descending = order
    order = Order(column, descending=descending)
    whole = cut(many, order, None, 100).rows
    assert ([row.pk for row in walked(many, order, size)], len(whole)) == ([row.pk for row in whole], 23)


@pytest.mark.parametrize("descending", [True, False])
def test_rows_without_a_value_come_last(many, descending):
    losses = [row.train_loss for row in walked(many, Order(LOSS, descending=descending), 4)]
    known = sorted((loss for loss in losses if loss is not None), reverse=descending)
    assert losses == [*known, *[None] * 6]


def test_without_a_column_the_clock_decides(many):
    found = [row.created_at for row in cut(many, Order(), None, 100).rows]
    assert found == sorted(found, reverse=True)
    oldest = [row.created_at for row in cut(many, Order(descending=False), None, 100).rows]
    assert oldest == found[::-1]


def test_another_clock_can_be_taken():
    for number in (2, 1, 3):
        made = factories.conversation(title=str(number))
        type(made).objects.filter(pk=made.pk).update(updated_at=factories.NOW + timedelta(minutes=number))
    assert [row.title for row in walked(type(made).objects.all(), Order(clock="updated_at"), 1)] == ["3", "2", "1"]


def test_a_row_that_is_new_or_gone_shifts_nothing(many):
    first = cut(many, Order(), None, 5)
    following = cut(many, Order(), first.last, 5)
    factories.job(display_name="New", dataset=first.rows[0].dataset, created_at=factories.NOW + timedelta(hours=1))
    first.rows[-1].delete()
    assert cut(many, Order(), first.last, 5).rows == following.rows


def test_all_rows_are_read_in_parts(many, django_assert_num_queries):
    with django_assert_num_queries(3):
        assert len(list(in_order(many, Order(), 10))) == 23


def test_an_empty_list_has_no_next_page():
    assert cut(Dataset.objects.all(), Order(), None, 5) == cut(
        Dataset.objects.none(), Order(Column("name", str)), None, 5
    )
