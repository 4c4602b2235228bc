"""Whether Vertex AI can be reached at all, and as whom."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from django.conf import settings
from google.api_core.exceptions import from_http_response

from jobs.vertex.machine import Gpu
from jobs.vertex.values import Credentials

from . import clients
from .outside_text import read_object
from .translate import translate_errors

SERVICE = "gen_ai_tuning_service"
MAX_GPUS, LONGEST_NAME = 64, 100
KINDS = {
    "google.auth.credentials": "none",
    "google.oauth2.credentials": "user",
    "google.oauth2.service_account": "service-account",
    "google.auth.compute_engine.credentials": "metadata",
    "google.auth.impersonated_credentials": "service-account",
}


class Connection:
    def credentials(self) -> Credentials:
        with translate_errors():
            return _describe(clients.credentials())

    def look(self) -> datetime | None:
        """Past the client's method, which keeps the headers of the answer to itself."""
        session = clients.client(SERVICE).transport._session
        location = clients.parent().rpartition("/")[2]
        url = f"{clients.address(location)}/v1beta1/{clients.parent()}/tuningJobs"
        with translate_errors():
            answer = session.get(
                url, params={"pageSize": 1}, timeout=settings.VERTEX_READ_SECONDS, allow_redirects=False
            )
            if answer.status_code != 200:
                raise from_http_response(answer)  # type: ignore[no-untyped-call]
        return _time(answer.headers.get("Date", ""))

    def list_gpus(self) -> list[Gpu]:
        if not settings.VERTEX_API_ENDPOINT:
            return []
        session = clients.client(SERVICE).transport._session
        url = f"{clients.address(settings.VERTEX_LOCATION)}/healthz"
        with translate_errors():
            answer = session.get(url, timeout=settings.VERTEX_READ_SECONDS, allow_redirects=False)
        return _gpus(answer.text)


def _gpus(text: str) -> list[Gpu]:
    """Whatever is none is left out."""
    try:
        found = read_object(text)["devices"]["gpus"][:MAX_GPUS]
        return [Gpu(str(one["name"])[:LONGEST_NAME], int(one["total_bytes"]), int(one["free_bytes"])) for one in found]
    except (ValueError, KeyError, TypeError, OverflowError):
        return []


def _describe(found: Any) -> Credentials:
    module = type(found).__module__
    kind = KINDS.get(module, "federation" if "external_account" in module or "identity_pool" in module else "other")
    address = getattr(found, "service_account_email", None) or getattr(found, "account", None)
    return Credentials(kind, address if isinstance(address, str) and "@" in address else "")


def _time(text: str) -> datetime | None:
    try:
        return parsedate_to_datetime(text).astimezone(UTC)
    except ValueError:
        return None
