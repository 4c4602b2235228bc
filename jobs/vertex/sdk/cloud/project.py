"""What Google Cloud says of the project beside Vertex AI: its number, billing, APIs, rights and quotas.

All are reads, free of charge; each may be refused to the credentials while all that the console itself does works.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from django.conf import settings

from jobs.vertex.sdk.translate import translate_errors
from jobs.vertex.skus import SkuPage, read_page

from .rest import ask

RESOURCES, BILLING = "cloudresourcemanager", "cloudbilling"
USAGE, QUOTAS = "serviceusage", "cloudquotas"
VERTEX = "aiplatform.googleapis.com"
PAGE_OF_SKUS = 5000  # The most that Google gives.
SKU_SECONDS, MOST_SKU_BYTES = 60.0, 32 * 2**20


class Project:
    def number(self) -> str:
        return str(ask("GET", RESOURCES, f"v1/projects/{settings.VERTEX_PROJECT}").get("projectNumber", ""))

    def missing_permissions(self, wanted: Sequence[str]) -> list[str]:
        path = f"v1/projects/{settings.VERTEX_PROJECT}:testIamPermissions"
        granted = ask("POST", RESOURCES, path, {"permissions": list(wanted)}).get("permissions", [])
        return [one for one in wanted if one not in granted]

    def has_billing(self) -> bool:
        found = ask("GET", BILLING, f"v1/projects/{settings.VERTEX_PROJECT}/billingInfo")
        return bool(found.get("billingEnabled"))

    def is_enabled(self, service: str) -> bool:
        found = ask("GET", USAGE, f"v1/projects/{settings.VERTEX_PROJECT}/services/{service}")
        return bool(found.get("state") == "ENABLED")

    def list_skus(self, service: str, page_token: str) -> SkuPage:
        query = [("currencyCode", "USD"), ("pageSize", str(PAGE_OF_SKUS))]
        query += [("pageToken", page_token)] if page_token else []
        path = f"v1/services/{service}/skus"
        return read_page(ask("GET", BILLING, path, query=query, seconds=SKU_SECONDS, most=MOST_SKU_BYTES))

    def quota(self, name: str, region: str) -> int | None:
        path = f"v1/projects/{settings.VERTEX_PROJECT}/locations/global/services/{VERTEX}/quotaInfos/{name}"
        with translate_errors():
            return _value(ask("GET", QUOTAS, path).get("dimensionsInfos", []), region)


def _value(infos: Sequence[Mapping[str, Any]], region: str) -> int | None:
    """Of the region, else of wherever no region is told; -1 is Google's word for no limit."""
    fitting = [one for one in infos if one.get("dimensions", {}).get("region", region) == region]
    told = [one for one in fitting if {region, "global"} & set(one.get("applicableLocations", [region]))]
    named = sorted(told, key=lambda one: "region" not in one.get("dimensions", {}))
    value = str(named[0].get("details", {}).get("value", "")) if named else ""
    return int(value) if value.removeprefix("-").isdigit() else None
