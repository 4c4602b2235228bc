"""Google's exceptions → ours, in this one place, the most specific first.

For a create the question is whether the request may have left, which `departure` knows: before that, nothing was sent,
whatever it is that failed. After it, and without an answer, there is no proof.
"""

import logging
import re
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests
from google.api_core.exceptions import GoogleAPICallError
from google.auth.exceptions import GoogleAuthError
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

from jobs.text.deferred import gettext as _
from jobs.vertex.errors import (
    UNREADABLE_FILE,
    AlreadyExists,
    NotAuthorised,
    NotFound,
    NotSent,
    OutcomeUnknown,
    OverQuota,
    Refused,
    Unavailable,
    VertexError,
)

from .credentials import describe_refusal, names_a_file, short, unreadable
from .departure import Departure, departing
from .outside_text import clean, read_status
from .refusals import Refusal, find_remedy

log = logging.getLogger(__name__)

STATUS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    408: "DEADLINE_EXCEEDED",
    409: "ABORTED",
    412: "FAILED_PRECONDITION",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    500: "INTERNAL",
    501: "UNIMPLEMENTED",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
INDEFINITE = frozenset({408, 499})
NOT_LEFT = (NewConnectionError, ConnectTimeoutError, ssl.SSLCertVerificationError)

_PREFIX = re.compile(r"^[A-Z]+ \S+: ")


@contextmanager
def translate_errors(*, creates: bool = False, bucket: str = "", sends: Path | None = None) -> Iterator[Departure]:
    """`creates`: the call inside is a paid create. `bucket`: the one whose missing rights a refusal may be about.
    `sends`: the file that the call reads; any other that cannot be read is one of the credentials."""
    with departing() as departure:
        try:
            yield departure
        except VertexError as error:
            if creates and not departure.may_have_left and not _refuses(error):
                raise NotSent(str(error), error.code) from error
            raise
        except OSError as error:
            if sends and error.filename == str(sends):
                raise _no_answer(short(error), "UNKNOWN", creates) from error
            raise translate(error, creates=creates, left=departure.may_have_left, bucket=bucket) from error
        except Exception as error:
            raise translate(error, creates=creates, left=departure.may_have_left, bucket=bucket) from error


def translate(error: Exception, *, creates: bool, left: bool = True, bucket: str = "") -> VertexError:
    """`left`: bytes of the request may have."""
    if isinstance(error, GoogleAPICallError) and error.code is not None:
        status, message = _reply(error)
        return from_status(int(error.code), status, message, creates=creates, bucket=bucket)
    if not isinstance(error, requests.RequestException | OSError | GoogleAuthError):
        log.warning("A request to Vertex AI or its reply could not be used", exc_info=error)
    if found := _before_sending(error):
        return NotSent(str(found), found.code) if creates else found
    if creates and not left:
        return _not_sent(error)
    if names_a_file(error) and not creates:
        return Unavailable(unreadable(error), UNREADABLE_FILE)
    return _no_answer(short(error), "UNKNOWN", creates)


def _before_sending(error: Exception) -> VertexError | None:
    """By its kind alone, whoever says it."""
    if isinstance(error, GoogleAuthError):
        return describe_refusal(error)
    if _did_not_leave(error):
        return Unavailable(_("Vertex AI could not be reached: %s") % short(error), "UNAVAILABLE")
    return None


def _not_sent(error: Exception) -> NotSent:
    if names_a_file(error):
        return NotSent(unreadable(error), UNREADABLE_FILE)
    if isinstance(error, requests.RequestException | OSError):
        return NotSent(_("Vertex AI could not be reached: %s") % short(error), "UNAVAILABLE")
    return NotSent(_("The request to Vertex AI could not be made: %s") % short(error), "UNAVAILABLE")


def _refuses(error: VertexError) -> bool:
    """Something definite about what was asked for, such as that it does not exist; who asked was known then."""
    return isinstance(error, OverQuota | Refused) and not error.is_about_credentials


def from_status(code: int, status: str, message: str, *, creates: bool, bucket: str = "") -> VertexError:
    """For an answer that did come, with the HTTP `code`, Google's `status` word and its `message`."""
    status = status or STATUS.get(code, "UNKNOWN")
    if found := find_remedy(Refusal(message, status, code, bucket, creates)):
        return found.kind(found.sentence, status)
    if code == 429:
        return OverQuota(_("A project quota is used up: %s") % message, status)
    if code in INDEFINITE or code >= 500 and code != 501 or code < 400:
        return _no_answer(message, status, creates)
    return _refusal(code, status, message)


def _refusal(code: int, status: str, message: str) -> Refused:
    if code == 401:
        return NotAuthorised(
            _("Vertex AI did not accept the credentials. Run: gcloud auth application-default login (%s)") % message,
            status,
        )
    if code == 404:
        return NotFound(message, status)
    if status == "ALREADY_EXISTS":
        return AlreadyExists(message, status)
    return Refused(message, status)


def _no_answer(detail: str, status: str, creates: bool) -> VertexError:
    if creates:
        return OutcomeUnknown(
            _(
                "The request was sent to Vertex AI, but no definite response came back, so the resource might or "
                "might not exist: %s"
            )
            % detail,
            status,
        )
    return Unavailable(_("Vertex AI is not responding: %s") % detail, status)


def _reply(error: GoogleAPICallError) -> tuple[str, str]:
    """Google's status word and plain message; the exception's own text has the address in front."""
    try:
        body = error.response.json()
        inner = (body[0] if isinstance(body, list) else body)["error"]
        return read_status(inner.get("status")), clean(str(inner["message"]))
    except (AttributeError, ValueError, KeyError, TypeError, IndexError):
        return "", clean(_PREFIX.sub("", str(error.message)))


def _did_not_leave(error: Exception) -> bool:
    """Looks only at what this error says of itself: `__context__` may hold an older error of somebody else."""
    if isinstance(error, requests.ConnectTimeout):
        return True
    found: object = error
    for _depth in range(5):
        if isinstance(found, NOT_LEFT):
            return True
        arguments = getattr(found, "args", ())
        following = getattr(found, "reason", None) or getattr(found, "original_error", None)
        found = following or (arguments[0] if arguments else None)
    return False
