"""The credentials of this process, and in a sentence what keeps it from reading their file."""

import errno
import json
import os
import re
import stat
from functools import cache
from pathlib import Path
from typing import Any, TypeGuard

from google.auth import default
from google.auth.environment_vars import CREDENTIALS
from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError, RefreshError
from requests import RequestException

from jobs.text.deferred import gettext as _
from jobs.vertex.errors import UNAUTHENTICATED, NotAuthorised, Unavailable, VertexError

SCOPES = ["https://www.googleapis.com/auth/cloud-platform"]
# The file is at fault. With any other error it may be read in a moment, by the same call.
LASTING = frozenset({
    errno.EACCES, errno.EPERM, errno.ENOENT, errno.EISDIR, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.EINVAL,
})  # fmt: skip
LONGEST_REASON = 300

_NOT_FOUND = re.compile(r"File '(.+)' was not found\.", re.DOTALL)


@cache
def load() -> Any:
    """Once they are found they stay for this process; until then every call looks again."""
    try:
        _check_file(os.environ.get(CREDENTIALS, ""))
        return default(scopes=SCOPES)[0]
    except Exception as error:
        raise _not_loaded(error) from error


def _check_file(path: str) -> None:
    """Google's client says of everything that it cannot see that it was not found, and waits at a pipe for ever."""
    if path and not stat.S_ISREG(os.stat(path).st_mode):
        raise OSError(errno.EISDIR if os.path.isdir(path) else errno.EINVAL, "not a regular file", path)


def _not_loaded(error: Exception) -> VertexError:
    if isinstance(error, OSError):
        kind = NotAuthorised if error.errno in LASTING else Unavailable
        return kind(unreadable(error), UNAUTHENTICATED)
    if isinstance(error, GoogleAuthError) and not isinstance(error, DefaultCredentialsError):
        return describe_refusal(error)
    return NotAuthorised(_unusable(error), UNAUTHENTICATED)


def describe_refusal(error: GoogleAuthError) -> VertexError:
    """For credentials that were found, and do not do. What may be better in a moment is Unavailable."""
    if isinstance(error, DefaultCredentialsError):
        return NotAuthorised(_unusable(error), UNAUTHENTICATED)
    if not isinstance(error, RefreshError) or error.retryable:
        return Unavailable(_("Vertex AI could not be reached: %s") % short(error), "UNAVAILABLE")
    if missing := _NOT_FOUND.fullmatch(str(error)):
        return NotAuthorised(_missing(missing[1]), UNAUTHENTICATED)
    return NotAuthorised(
        _("The Google Cloud credentials are no longer valid. Run: gcloud auth application-default login"),
        UNAUTHENTICATED,
    )


def names_a_file(error: Exception) -> TypeGuard[OSError]:
    """The errors of `requests` are of the system's kind, too, and tell of connections."""
    return isinstance(error, OSError) and bool(error.filename) and not isinstance(error, RequestException)


def unreadable(error: OSError) -> str:
    """Of the file that `error` names, else of the one that is set."""
    path = _path_of(error)
    if not path:
        return _("The credentials cannot be read: %s") % short(error)
    if error.errno in (errno.EACCES, errno.EPERM):
        return _permission_message(path)
    if error.errno == errno.EISDIR:
        text = _(
            "%s is a directory, not a credentials file. Docker creates a directory if the file is missing when "
            "containers start. Remove the directory, add the file, and start the containers again."
        )
        return text % path
    if error.errno == errno.ENOENT:
        return _missing(path)
    if error.errno == errno.EINVAL:
        return _("%s is not a regular file. Set GOOGLE_APPLICATION_CREDENTIALS to a credentials file.") % path
    return _failure_message(path, os.strerror(error.errno) if error.errno else short(error))


def _path_of(error: OSError) -> str:
    path = error.filename if error.filename is not None else os.environ.get(CREDENTIALS, "")
    return os.fsdecode(path) if isinstance(path, str | bytes | os.PathLike) else ""


def _missing(path: str) -> str:
    return _("The credentials file %s doesn't exist. Add it, or correct GOOGLE_APPLICATION_CREDENTIALS.") % path


def _permission_message(path: str) -> str:
    words = {"file": path, "user": os.geteuid()}
    if owned := _owner_of(path):
        text = _(
            "The credentials file %(file)s cannot be read: it belongs to user %(owner)d with mode %(mode)s, and the"
            " console runs as user %(user)d. Make it readable for that user, or use a copy that is: sudo install -o"
            " %(user)d -m 400 FILE COPY"
        )
        return text % {**words, **owned}
    folder = next((str(above) for above in Path(path).parents if _owner_of(str(above))), "/")
    text = _(
        "The credentials file %(file)s cannot be reached: the folder %(folder)s belongs to user %(owner)d with mode"
        " %(mode)s, and the console runs as user %(user)d. Let that user enter the folder, or move the file."
    )
    return text % {**words, "folder": folder, **_owner_of(folder)}


def _failure_message(path: str, reason: str) -> str:
    words = {"file": path, "reason": reason, "user": os.geteuid()}
    if owned := _owner_of(path):
        text = _(
            "The credentials file %(file)s cannot be read: %(reason)s. It belongs to user %(owner)d with mode %(mode)s,"
            " and the console runs as user %(user)d."
        )
        return text % {**words, **owned}
    return _("The credentials file %(file)s cannot be read by user %(user)d: %(reason)s.") % words


def _owner_of(path: str) -> dict[str, Any]:
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return {}
    return {"owner": found.st_uid, "mode": f"{stat.S_IMODE(found.st_mode):04o}"}


def _unusable(error: Exception) -> str:
    if isinstance(error, DefaultCredentialsError) and "default credentials were not found" in str(error):
        return _("No Google Cloud credentials were found. Run: gcloud auth application-default login")
    path, cause = os.environ.get(CREDENTIALS, ""), error.__cause__
    if not path:
        return _("The credentials cannot be used: %s") % _reason(error)
    if isinstance(cause, json.JSONDecodeError):
        return _not_json(path, cause)
    words = {"file": path, "reason": _reason(cause or error)}
    return _("The credentials file %(file)s cannot be used, copy it again: %(reason)s") % words


def _not_json(path: str, error: json.JSONDecodeError) -> str:
    if not error.doc.strip():
        return _("The credentials file %s is empty. Copy it again.") % path
    words = {"file": path, "line": error.lineno, "column": error.colno}
    return _("The credentials file %(file)s is not JSON: line %(line)d, column %(column)d. Copy it again.") % words


def _reason(error: BaseException) -> str:
    if isinstance(error, GoogleAuthError | ValueError):
        return short(Exception(*error.args[:1]))
    return _("its content isn't valid (%s)") % type(error).__name__


def short(error: BaseException) -> str:
    text = str(error) or type(error).__name__
    return text if len(text) <= LONGEST_REASON else text[:LONGEST_REASON] + "…"
