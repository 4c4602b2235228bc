"""Google's client of Cloud Storage. It takes a third of a second to be imported, so only who reads or writes does."""

from typing import Any

from google.api_core import exceptions
from google.auth import exceptions as auth_exceptions
from google.auth.credentials import AnonymousCredentials
from google.cloud.storage import Client
from google.cloud.storage.retry import DEFAULT_RETRY
from requests import RequestException

from jobs.localvertex.api.errors import ApiError, invalid
from jobs.localvertex.shortages import shortage_of

RETRY = DEFAULT_RETRY.with_timeout(30)
_BROKEN = (exceptions.GoogleAPIError, auth_exceptions.GoogleAuthError, RequestException, OSError)


def connect(emulator: str | None) -> Any:
    if emulator:
        return Client("garden-local", credentials=AnonymousCredentials())  # type: ignore[no-untyped-call]  # google-auth has no types
    return Client()


def translate(error: Exception, place: object, bucket: str) -> ApiError | None:
    """What a person can act on; None for an error that is of no storage, or a shortage of this machine."""
    if isinstance(error, exceptions.NotFound):
        message = f"{place} is not there: check that the bucket {bucket} exists and that the path is right."
        return ApiError("NOT_FOUND", message)
    if isinstance(error, exceptions.Forbidden):
        return ApiError("PERMISSION_DENIED", f"{place} cannot be used: {error.message}")
    if isinstance(error, ValueError):
        return invalid(f"{place} is not a path that Cloud Storage takes: {error}")
    if isinstance(error, _BROKEN) and not shortage_of(error):
        return ApiError("UNAVAILABLE", f"{place} cannot be reached: {error}")
    return None
