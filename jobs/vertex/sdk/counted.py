"""Counts the calls to Google by their outcome, around each part of the gateway."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import wraps
from typing import Any, Final

from jobs import telemetry
from jobs.vertex.errors import (
    AlreadyExists,
    LicenceRequired,
    NotAuthorised,
    NotFound,
    NotSent,
    OutcomeUnknown,
    OverQuota,
    Refused,
    StockOut,
    Unavailable,
)

# The first that fits, the most specific before its parent.
OUTCOMES: Final = {
    NotFound: "not_found",
    AlreadyExists: "already_exists",
    NotAuthorised: "not_authorised",
    LicenceRequired: "licence_required",
    StockOut: "stock_out",
    Refused: "refused",
    NotSent: "not_sent",
    OverQuota: "over_quota",
    Unavailable: "unavailable",
    OutcomeUnknown: "outcome_unknown",
}
OK, FAILED, CUT = "ok", "failed", "cut"
# They ask nobody.
NO_CALLS: Final = frozenset({"connection.credentials", "deployment.endpoint_name", "deployment.model_name"})


def outcome_of(error: BaseException | None) -> str:
    if error is None:
        return OK
    return next((word for kind, word in OUTCOMES.items() if isinstance(error, kind)), FAILED)


class Counted:
    """A part of the gateway. `name` and those of its methods are the label."""

    def __init__(self, name: str, part: Any) -> None:
        self._name, self._part = name, part

    def __getattr__(self, method: str) -> Any:
        found, call = getattr(self._part, method), f"{self._name}.{method}"
        if method.startswith("_") or not callable(found) or call in NO_CALLS:
            return found
        counting = _count_stream(found, call) if call == "chat.stream" else _count_calls(found, call)
        self.__dict__[method] = counting
        return counting


def _count_calls(method: Callable[..., Any], call: str) -> Callable[..., Any]:
    @wraps(method)
    def counting(*args: Any, **kwargs: Any) -> Any:
        try:
            found = method(*args, **kwargs)
        except Exception as error:
            telemetry.CALLS.count(call, outcome_of(error))
            raise
        telemetry.CALLS.count(call, OK)
        return found

    return counting


def _count_stream(method: Callable[..., Any], call: str) -> Callable[..., "CountedStream"]:
    return lambda *args, **kwargs: CountedStream(method(*args, **kwargs), call)


class CountedStream(AbstractContextManager[Iterator[Any]]):
    """A port.ChatStream: the call ends when it is left. What goes wrong in one that was cut means nothing."""

    def __init__(self, stream: Any, call: str) -> None:
        self._stream, self._call, self._is_cut = stream, call, False

    def __enter__(self) -> Iterator[Any]:
        try:
            entered: Iterator[Any] = self._stream.__enter__()
        except Exception as error:
            self._count(error)
            raise
        return entered

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        self._count(error)
        self._stream.__exit__(kind, error, trace)

    def _count(self, error: BaseException | None) -> None:
        telemetry.CALLS.count(self._call, CUT if self._is_cut else outcome_of(error))

    def cut(self) -> None:
        self._is_cut = True
        self._stream.cut()
