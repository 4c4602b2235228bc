"""The reads of Google's services beside Vertex AI by which a program learns what is missing: Cloud Resource Manager v1,
Cloud Billing, Service Usage and Cloud Quotas, each in the form of its REST reference. They tell of this server's own
project, whatever it is called."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from jobs.localvertex.api.errors import ApiError, invalid
from jobs.localvertex.api.hosts import REGIONS, project_number
from jobs.localvertex.api.wire import Json
from jobs.localvertex.project.situation import TITLES, VERTEX, Situation

PLENTY = 1_000_000  # of whatever has a quota: it never runs out
GLOBAL_QUOTAS = {"GlobalConcurrentManagedOssModelTuningJobs": 1}  # as every project has it, Google's page says
_PROJECT = r"/v1/projects/(?P<project>[^/:]+)"
_SERVICES = rf"{_PROJECT}/services/(?P<one>[a-z]+\.googleapis\.com)"
QUOTA = rf"{_PROJECT}/locations/global/services/{re.escape(VERTEX)}/quotaInfos/(?P<one>\w+)"


@dataclass(frozen=True)
class Question:
    """`service` is asked for what `path` has named."""

    service: "Service"
    path: re.Match[str]

    def answer(self, body: object, situation: Situation) -> Json:
        situation.check_service(self.service.name, self.path["project"])
        return self.service.run(self.path, body, situation)


def find(verb: str, path: str) -> Question | None:
    for (wanted, pattern), service in CALLS.items():
        if verb == wanted and (found := re.fullmatch(pattern, path)):
            return Question(service, found)
    return None


def _describe_project(asked: re.Match[str], _body: object, _situation: Situation) -> Json:
    project = asked["project"]
    return {
        "projectNumber": str(project_number(project)),
        "projectId": project,
        "lifecycleState": "ACTIVE",
        "name": project,
    }


def _test_permissions(_asked: re.Match[str], body: object, situation: Situation) -> Json:
    wanted = body.get("permissions", []) if isinstance(body, dict) else None
    if not isinstance(wanted, list) or not all(isinstance(one, str) for one in wanted):
        raise invalid("permissions must be a list of permissions.", "permissions")
    granted = [one for one in wanted if one not in situation.lacks]
    return {"permissions": granted} if granted else {}


def _describe_billing(asked: re.Match[str], _body: object, situation: Situation) -> Json:
    project = asked["project"]
    account = "billingAccounts/012345-567890-ABCDEF" if situation.billing else ""
    return {
        "name": f"projects/{project}/billingInfo",
        "projectId": project,
        "billingAccountName": account,
        "billingEnabled": situation.billing,
    }


def _describe_service(asked: re.Match[str], _body: object, situation: Situation) -> Json:
    service = asked["one"]
    if service not in TITLES:
        raise ApiError("NOT_FOUND", f"Not found or permission denied for service(s): {service}.")
    return {
        "name": f"projects/{project_number(asked['project'])}/services/{service}",
        "config": {"name": service, "title": TITLES[service]},
        "state": "DISABLED" if service in situation.disabled else "ENABLED",
        "parent": f"projects/{project_number(asked['project'])}",
    }


def describe_quota(asked: re.Match[str], _body: object, situation: Situation) -> Json:
    """Cloud Quotas' QuotaInfo, of every region, or of the whole world in one."""
    name = asked["one"]
    value = str(situation.quotas.get(name, GLOBAL_QUOTAS.get(name, PLENTY)))
    about = {"name": asked.string.removeprefix("/v1/"), "quotaId": name, "service": VERTEX}
    if name in GLOBAL_QUOTAS:
        return about | {"dimensionsInfos": [{"details": {"value": value}, "applicableLocations": ["global"]}]}
    regions = [
        {"dimensions": {"region": region}, "details": {"value": value}, "applicableLocations": [region]}
        for region in REGIONS
    ]
    return about | {"dimensions": ["region"], "dimensionsInfos": regions}


class Service(NamedTuple):
    name: str
    run: Callable[[re.Match[str], object, Situation], Json]


CALLS = {
    ("GET", _PROJECT): Service("cloudresourcemanager.googleapis.com", _describe_project),
    ("POST", f"{_PROJECT}:testIamPermissions"): Service("cloudresourcemanager.googleapis.com", _test_permissions),
    ("GET", f"{_PROJECT}/billingInfo"): Service("cloudbilling.googleapis.com", _describe_billing),
    ("GET", _SERVICES): Service("serviceusage.googleapis.com", _describe_service),
    ("GET", QUOTA): Service("cloudquotas.googleapis.com", describe_quota),
}
