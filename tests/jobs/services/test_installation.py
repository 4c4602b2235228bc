import threading
from datetime import timedelta

import pytest
from django.db import OperationalError, connection, transaction

from jobs.models import Installation
from jobs.services import installation


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer at a time, and no locks of rows.")
@pytest.mark.django_db(transaction=True)
def test_where_two_rows_were_made_at_the_same_moment_the_second_transaction_waits_all_the_same() -> None:
    """The row of the other process may come to light later and have an earlier time."""
    first = Installation.objects.create()
    locked, done = threading.Event(), threading.Event()

    def hold() -> None:
        with transaction.atomic():
            installation.lock()
            locked.set()
            done.wait(10)
        connection.close()

    holder = threading.Thread(target=hold)
    holder.start()
    assert locked.wait(10)
    other = Installation.objects.create()
    Installation.objects.filter(pk=other.pk).update(created_at=first.created_at - timedelta(seconds=1))
    with connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = '300ms'")
    with pytest.raises(OperationalError, match="lock timeout"), transaction.atomic():
        installation.lock()
    done.set()
    holder.join()
    connection.close()  # and with it the time limit
