"""What lies in the tables, read without the models: some tests look at all of them before and after each request."""

from collections.abc import Iterable

from django.db import connection
from django.db.backends.utils import CursorWrapper
from django.db.models import Model


def read_tables(models: Iterable[type[Model]]) -> dict[str, list[str]]:
    """Each row, by the name of the model, in an order of their own."""
    with connection.cursor() as cursor:
        return {model.__name__: _read(cursor, model._meta.db_table) for model in models}


def _read(cursor: CursorWrapper, table: str) -> list[str]:
    cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")
    return sorted(map(repr, cursor.fetchall()))
