"""Whether a request may have left this process: its connection tells, instead of a guess from what went wrong.

Until the first byte of it is handed to the system, a create has not been sent, whatever fails: credentials, the
request itself, the name, the connection, a proxy, TLS.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from requests import PreparedRequest, Response, Session
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection


class Departure:
    """Of one call. `may_have_left` stays true once it is, but for a request that Vertex AI answered with 401."""

    def __init__(self) -> None:
        self.may_have_left = False

    def watch(self, session: Session, url: str) -> None:
        """From here on the connections of `session` tell. What cannot be watched counts as sent."""
        self.may_have_left = not isinstance(session.get_adapter(url), WatchedAdapter)


_current: ContextVar[Departure | None] = ContextVar("departure", default=None)


@contextmanager
def departing() -> Iterator[Departure]:
    made = Departure()
    token = _current.set(made)
    try:
        yield made
    finally:
        _current.reset(token)


def _note(*, may_have_left: bool) -> None:
    if found := _current.get():
        found.may_have_left = may_have_left


class _Noting:
    """Of a connection: what it says to a proxy, or to agree on keys, is not the request yet."""

    _opens = False
    sock: Any

    def connect(self) -> None:
        self._opens = True
        try:
            super().connect()  # type: ignore[misc]
        finally:
            self._opens = False

    def send(self, data: Any) -> None:
        if self.sock is None:
            self.connect()
        if not self._opens:
            _note(may_have_left=True)
        super().send(data)  # type: ignore[misc]


class _Plain(_Noting, HTTPConnection):
    pass


class _Encrypted(_Noting, HTTPSConnection):
    pass


WATCHED: dict[Any, Any] = {HTTPConnection: _Plain, HTTPSConnection: _Encrypted}


class WatchedAdapter(HTTPAdapter):
    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> Any:
        pool: Any = super().get_connection_with_tls_context(*args, **kwargs)
        pool.ConnectionCls = WATCHED.get(pool.ConnectionCls, pool.ConnectionCls)
        if not issubclass(pool.ConnectionCls, _Noting):
            _note(may_have_left=True)
        return pool

    def send(self, request: PreparedRequest, *args: Any, **kwargs: Any) -> Response:
        """After a 401, Google's client gets other credentials and sends once more."""
        answer = super().send(request, *args, **kwargs)
        if answer.status_code == 401:
            _note(may_have_left=False)
        return answer


def watch(session: Session) -> None:
    """An adapter that somebody else chose, such as the one of mutual TLS, stays."""
    for prefix, adapter in list(session.adapters.items()):
        if type(adapter) is HTTPAdapter:
            session.mount(prefix, WatchedAdapter())
