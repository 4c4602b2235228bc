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
from jobs.vertex.errors import (
    LicenceRequired,
    NotAuthorised,
    Refused,
    StockOut,
    VertexError,
)

from . import credentials

TUNING_AGENT = "service-PROJECT_NUMBER@gcp-sa-vertex-moss-ft.iam.gserviceaccount.com"
READ = 4000
# By the beginning of the permission that is missing; the first that fits.
ROLES = {
    "iam.serviceAccounts.actAs": "roles/iam.serviceAccountUser",
    "serviceusage.": "roles/serviceusage.serviceUsageConsumer",
    "monitoring.": "roles/monitoring.viewer",
    "logging.": "roles/logging.viewer",
    "cloudquotas.": "roles/cloudquotas.viewer",
    "": "roles/aiplatform.user",
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
_BUCKET_NAME = re.compile(r"[a-z0-9._-]+")


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
    service = named[1] if named else "aiplatform.googleapis.com"
    command = f"gcloud services enable {service} --project={settings.VERTEX_PROJECT}"
    return _("The API %(service)s isn't enabled in the project. Run: %(command)s (%(message)s)") % {
        "service": service, "command": command, "message": refusal.message,
    }  # fmt: skip


def _set_quota_project(refusal: Refusal) -> str:
    command = f"gcloud auth application-default set-quota-project {settings.VERTEX_PROJECT}"
    return _("Your credentials name no quota project. Run: %(command)s (%(message)s)") % {
        "command": command, "message": refusal.message,
    }  # fmt: skip


def _enable_billing(refusal: Refusal) -> str:
    command = f"gcloud billing projects link {settings.VERTEX_PROJECT} --billing-account=BILLING_ACCOUNT"
    return _("Billing isn't enabled for the project. Run: %(command)s (%(message)s)") % {
        "command": command, "message": refusal.message,
    }  # fmt: skip


def _grant_bucket(refusal: Refusal) -> str:
    """Names the very command, for the account that Google said, else for the one that such a call is about."""
    named = _BUCKET.search(refusal.read)
    name = refusal.bucket or (named[1] or named[2] if named else "BUCKET")
    name = name if _BUCKET_NAME.fullmatch(name) else "BUCKET"
    member = _member(refusal, TUNING_AGENT if refusal.by_agent else "")
    command = (
        f"gcloud storage buckets add-iam-policy-binding gs://{name} --member={member} --role=roles/storage.objectUser"
    )
    return _("Access to the bucket %(bucket)s is missing. Run: %(command)s (%(message)s)") % {
        "bucket": name, "command": command, "message": refusal.message,
    }  # fmt: skip


def _grant_role(refusal: Refusal) -> str:
    permissions = _PERMISSION.findall(refusal.read)
    role = next(role for begins, role in ROLES.items() if not begins or any(p.startswith(begins) for p in permissions))
    command = (
        f"gcloud projects add-iam-policy-binding {settings.VERTEX_PROJECT} --member={_member(refusal)} --role={role}"
    )
    return _("The role %(role)s is missing. Run: %(command)s (%(message)s)") % {
        "role": role, "command": command, "message": refusal.message,
    }  # fmt: skip


def _accept_terms(refusal: Refusal) -> str:
    return _("The licence of this model is not accepted in the project yet. Accept it first. (%s)") % refusal.message


def _member(refusal: Refusal, otherwise: str = "") -> str:
    address = _ADDRESS.search(refusal.read)
    account = address[0] if address else otherwise or _own_account() or "YOUR_ACCOUNT"
    return f"{'serviceAccount' if account.endswith('gserviceaccount.com') else 'user'}:{account}"


def _own_account() -> str:
    """Of the credentials in use, where they say it; those of a person do not."""
    if settings.VERTEX_API_ENDPOINT:
        return ""
    try:
        told = getattr(credentials.load(), "service_account_email", "")
    except (VertexError, GoogleAuthError):
        return ""
    return told if _ADDRESS.fullmatch(str(told)) else ""


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
