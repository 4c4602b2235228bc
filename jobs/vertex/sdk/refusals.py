"""What Vertex AI refuses in its own words, whoever says it: an HTTP error, an operation that failed, a tuning job.

Each kind has a sentence and, where something is to be granted or switched on, the `gcloud` command that does it. The
words are those of Google's service infrastructure, the same for every API.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from django.conf import settings
from google.auth.exceptions import GoogleAuthError

from jobs.text.deferred import gettext as _
from jobs.vertex import grants
from jobs.vertex.errors import (
    LicenceRequired,
    NotAuthorised,
    Refused,
    StockOut,
    VertexError,
)

from . import credentials

TUNING_AGENT = "gcp-sa-vertex-moss-ft"
READ = 4000
# By the beginning of the permission that is missing; the first that fits.
ROLES = {
    "iam.serviceAccounts.actAs": "roles/iam.serviceAccountUser",
    "serviceusage.": "roles/serviceusage.serviceUsageConsumer",
    "monitoring.": "roles/monitoring.viewer",
    "logging.": "roles/logging.viewer",
    "cloudquotas.": "roles/cloudquotas.viewer",
    "": grants.ROLE_OF_VERTEX,
}

_STOCK_OUT = re.compile(
    r"machine type temporarily unavailable|does(?:n't| not) have enough resources|resource_pool_exhausted|stock-?out"
    r"|insufficient capacity|resources are insufficient in region",
    re.IGNORECASE,
)
_API_DISABLED = re.compile(r"API has not been used in project|SERVICE_DISABLED|API is (?:disabled|not enabled)")
_QUOTA_PROJECT = re.compile(r"requires a quota project|authenticated using end user credentials")
_BILLING = re.compile(r"requires billing to be enabled|BILLING_DISABLED|billing account .{0,80}(?:disabled|closed)")
_BUCKET_RIGHT = re.compile(r"storage\.(objects|buckets)\.\w+|gcp-sa-vertex-moss-ft")
_LICENCE = re.compile(r"\beula\b|licen[cs]e|not allowed to use publisher model|terms of use", re.IGNORECASE)
_PERMISSION = re.compile(r"\b[a-zA-Z]+\.[a-zA-Z]+\.[a-zA-Z]+\b")
_SERVICE = re.compile(r"\b([a-z]+\.googleapis\.com)\b")
_ADDRESS = re.compile(r"[\w.+-]+@(?:[\w-]+\.)+[a-z]+")
_BUCKET = re.compile(r"gs://([a-z0-9._-]+)|buckets/([a-z0-9._-]+)")


class Remedy(NamedTuple):
    kind: type[VertexError]
    sentence: str


@dataclass(frozen=True)
class Refusal:
    """`status`: Google's word for the code. `http`: the code of an HTTP answer, 0 for an operation or a job. `bucket`:
    the one that the request was about. `by_agent`: Vertex AI's own agent may be the one that lacks a right."""

    message: str
    status: str
    http: int = 0
    bucket: str = ""
    by_agent: bool = False

    @property
    def read(self) -> str:
        return self.message[:READ]


def find_remedy(refusal: Refusal) -> Remedy | None:
    """None where the message alone says all that there is to say."""
    return next((Remedy(kind, say(refusal)) for fits, kind, say in RULES if fits(refusal)), None)


def explain(message: str, status: str) -> str:
    """For an operation or a job that failed: its message, with the remedy where there is one."""
    found = find_remedy(Refusal(message, status, by_agent=True))
    return found.sentence if found else message


def _is_stock_out(refusal: Refusal) -> bool:
    return bool(_STOCK_OUT.search(refusal.read))


def _is_about_access(refusal: Refusal) -> bool:
    return refusal.http in (0, 400, 403, 412)


def _says(pattern: re.Pattern[str]) -> Callable[[Refusal], bool]:
    return lambda refusal: _is_about_access(refusal) and bool(pattern.search(refusal.read))


def _lacks_terms(refusal: Refusal) -> bool:
    return refusal.status != "INVALID_ARGUMENT" and _says(_LICENCE)(refusal)


def _is_forbidden(refusal: Refusal) -> bool:
    return refusal.http == 403 or not refusal.http and refusal.status == "PERMISSION_DENIED"


def _stock_out(refusal: Refusal) -> str:
    return _("Google has no free machine of this type here right now. (%s)") % refusal.message


def _enable_api(refusal: Refusal) -> str:
    named = _SERVICE.search(refusal.read)
    service = named[1] if named else grants.VERTEX
    return _("The API %(service)s isn't enabled in the project. Run: %(command)s (%(message)s)") % {
        "service": service, "command": grants.enable_api(service), "message": refusal.message,
    }  # fmt: skip


def _set_quota_project(refusal: Refusal) -> str:
    return _("Your credentials name no quota project. Run: %(command)s (%(message)s)") % {
        "command": grants.set_quota_project(), "message": refusal.message,
    }  # fmt: skip


def _enable_billing(refusal: Refusal) -> str:
    return _("Billing isn't enabled for the project. Run: %(command)s (%(message)s)") % {
        "command": grants.link_billing(), "message": refusal.message,
    }  # fmt: skip


def _grant_bucket(refusal: Refusal) -> str:
    """Names the very command, for the account that Google said, else for the one that such a call is about."""
    named = _BUCKET.search(refusal.read)
    bucket = refusal.bucket or (named[1] or named[2] if named else "BUCKET")
    account = _find_account(refusal) or (grants.name_agent("", TUNING_AGENT) if refusal.by_agent else _own_account())
    return _("Access to the bucket %(bucket)s is missing. Run: %(command)s (%(message)s)") % {
        "bucket": bucket, "command": grants.grant_on_bucket(bucket, account), "message": refusal.message,
    }  # fmt: skip


def _grant_role(refusal: Refusal) -> str:
    permissions = _PERMISSION.findall(refusal.read)
    role = next(role for begins, role in ROLES.items() if not begins or any(p.startswith(begins) for p in permissions))
    command = grants.grant_on_project(_find_account(refusal) or _own_account(), role)
    return _("The role %(role)s is missing. Run: %(command)s (%(message)s)") % {
        "role": role, "command": command, "message": refusal.message,
    }  # fmt: skip


def _accept_terms(refusal: Refusal) -> str:
    return _("The licence of this model is not accepted in the project yet. Accept it first. (%s)") % refusal.message


def _find_account(refusal: Refusal) -> str:
    address = _ADDRESS.search(refusal.read)
    return address[0] if address else ""


def _own_account() -> str:
    """Of the credentials in use, where they say it; those of a person do not."""
    if settings.VERTEX_API_ENDPOINT:
        return ""
    try:
        told = getattr(credentials.load(), "service_account_email", "")
    except (VertexError, GoogleAuthError):
        return ""
    return str(told)


# The first that fits counts.
RULES: tuple[tuple[Callable[[Refusal], bool], type[VertexError], Callable[[Refusal], str]], ...] = (
    (_is_stock_out, StockOut, _stock_out),
    (_says(_QUOTA_PROJECT), NotAuthorised, _set_quota_project),
    (_says(_API_DISABLED), NotAuthorised, _enable_api),
    (_says(_BILLING), Refused, _enable_billing),
    (_says(_BUCKET_RIGHT), NotAuthorised, _grant_bucket),
    (_lacks_terms, LicenceRequired, _accept_terms),
    (_is_forbidden, NotAuthorised, _grant_role),
)
