"""What Google Cloud says of the project beside Vertex AI: its number, billing, APIs, rights and quotas.

Plain JSON over REST, since each of these services has a client of its own for one or two calls. All are reads, free of
charge; each may be refused to the credentials while everything that the console itself does works.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from django.conf import settings
from google.api_core.exceptions import from_http_response
from google.auth.transport.requests import AuthorizedSession

from jobs.vertex.skus import SkuPage, read_page

from . import clients
from .translate import translate_errors

RESOURCES, BILLING = "cloudresourcemanager", "cloudbilling"
USAGE, QUOTAS = "serviceusage", "cloudquotas"
VERTEX = "aiplatform.googleapis.com"
PAGE_OF_SKUS = 5000  # The most that Google gives.
SKU_SECONDS = 60.0


class Project:
    def number(self) -> str:
        return str(_ask("GET", RESOURCES, f"v1/projects/{settings.VERTEX_PROJECT}").get("projectNumber", ""))

    def missing_permissions(self, wanted: Sequence[str]) -> list[str]:
        path = f"v1/projects/{settings.VERTEX_PROJECT}:testIamPermissions"
        granted = _ask("POST", RESOURCES, path, {"permissions": list(wanted)}).get("permissions", [])
        return [one for one in wanted if one not in granted]

    def has_billing(self) -> bool:
        found = _ask("GET", BILLING, f"v1/projects/{settings.VERTEX_PROJECT}/billingInfo")
        return bool(found.get("billingEnabled"))

    def is_enabled(self, service: str) -> bool:
        found = _ask("GET", USAGE, f"v1/projects/{settings.VERTEX_PROJECT}/services/{service}")
        return bool(found.get("state") == "ENABLED")

    def list_skus(self, service: str, page_token: str) -> SkuPage:
        query = {"currencyCode": "USD", "pageSize": str(PAGE_OF_SKUS)}
        query |= {"pageToken": page_token} if page_token else {}
        return read_page(_ask("GET", BILLING, f"v1/services/{service}/skus", query=query, seconds=SKU_SECONDS))

    def quota(self, name: str, region: str) -> int | None:
        path = f"v1/projects/{settings.VERTEX_PROJECT}/locations/global/services/{VERTEX}/quotaInfos/{name}"
        with translate_errors():
            return _value(_ask("GET", QUOTAS, path).get("dimensionsInfos", []), region)


def _value(infos: Sequence[Mapping[str, Any]], region: str) -> int | None:
    """Of the region, else of wherever no region is told; -1 is Google's word for no limit."""
    fitting = [one for one in infos if one.get("dimensions", {}).get("region", region) == region]
    told = [one for one in fitting if {region, "global"} & set(one.get("applicableLocations", [region]))]
    named = sorted(told, key=lambda one: "region" not in one.get("dimensions", {}))
    value = str(named[0].get("details", {}).get("value", "")) if named else ""
    return int(value) if value.removeprefix("-").isdigit() else None


def _ask(
    method: str,
    service: str,
    path: str,
    body: Mapping[str, Any] | None = None,
    *,
    query: Mapping[str, str] | None = None,
    seconds: float | None = None,
) -> dict[str, Any]:
    base = settings.VERTEX_API_ENDPOINT or f"https://{service}.googleapis.com"
    with translate_errors():
        answer = _session().request(  # type: ignore[no-untyped-call]
            method, f"{base}/{path}", json=body, params=query, timeout=seconds or settings.VERTEX_READ_SECONDS,
            allow_redirects=False,
        )  # fmt: skip
        if answer.status_code != 200:
            raise from_http_response(answer)  # type: ignore[no-untyped-call]
        found = answer.json()
    return found if isinstance(found, dict) else {}


@cache
def _session() -> AuthorizedSession:
    session = AuthorizedSession(clients.credentials())  # type: ignore[no-untyped-call]
    clients.harden(session)
    return session
