"""Where the work of this moment comes from: a person's request, or the console itself, as in a worker."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any


@dataclass
class Origin:
    """`user` is called as late as possible: nobody has signed in yet when the request begins. `refusal`: the code of
    why it was refused. `entries`: how many lines the audit log has of it."""

    user: Callable[[], Any]
    address: str = ""
    request_id: str = ""
    refusal: str = ""
    entries: int = 0


CROSS_SITE = "cross_site"
_current: ContextVar[Origin | None] = ContextVar("origin", default=None)


def current() -> Origin | None:
    """None: no request is being answered here."""
    return _current.get()


def refuse(code: str) -> None:
    """Notes why the request is being refused, for whoever keeps the log."""
    if (origin := current()) is not None:
        origin.refusal = code


@contextmanager
def comes_from(origin: Origin) -> Iterator[Origin]:
    token = _current.set(origin)
    try:
        yield origin
    finally:
        _current.reset(token)
