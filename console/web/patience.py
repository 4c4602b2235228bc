"""A request waits once for a database file that is busy, and hardly at all after that.

What comes after the first refusal, such as the session and the audit log, would each wait as long again, and the person
for all of it. PostgreSQL is left alone: there only a row is locked, and the server says for how long.
"""

from collections.abc import Callable
from typing import Any, Final

from django.db import OperationalError, connection
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from jobs import shortages

AFTERWARDS_MILLISECONDS: Final = 200


class Patience:
    """For `connection.execute_wrapper`. Of one request, and so of one thread."""

    def __init__(self) -> None:
        self.is_used_up = False

    def __call__(self, execute: Callable[..., Any], sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
        try:
            return execute(sql, params, many, context)
        except OperationalError as error:
            if not self.is_used_up and shortages.shortage_of(error) is shortages.Shortage.DATABASE_BUSY:
                self.is_used_up = True
                wait_at_most(AFTERWARDS_MILLISECONDS)
            raise


def wait_at_most(milliseconds: int) -> None:
    if connection.connection is not None:
        connection.connection.execute(f"PRAGMA busy_timeout = {milliseconds}")


class PatienceMiddleware:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if connection.vendor != "sqlite":
            return self.get_response(request)
        patience = Patience()
        try:
            with connection.execute_wrapper(patience):
                return self.get_response(request)
        finally:
            if patience.is_used_up:
                wait_at_most(round(1000 * connection.settings_dict["OPTIONS"]["timeout"]))
