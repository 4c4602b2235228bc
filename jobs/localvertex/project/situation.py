"""What is missing in the project, by the entry `project` of the file of faults, and Google's words for it.

`billing` false: no open account. `disabled`: APIs, such as aiplatform.googleapis.com. `lacks`: permissions of whoever
asks. `quotas`: values by the quota's name, in every region; of the others there is plenty.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from jobs.localvertex.api.errors import ApiError
from jobs.localvertex.api.hosts import project_number

VERTEX = "aiplatform.googleapis.com"
TITLES = {
    VERTEX: "Vertex AI API",
    "cloudresourcemanager.googleapis.com": "Cloud Resource Manager API",
    "cloudbilling.googleapis.com": "Cloud Billing API",
    "serviceusage.googleapis.com": "Service Usage API",
    "cloudquotas.googleapis.com": "Cloud Quotas API",
}
# What each call needs. Model Garden's own deployment makes an endpoint and a model.
PERMISSIONS = {
    "create_tuning_job": ("aiplatform.tuningJobs.create",),
    "get_tuning_job": ("aiplatform.tuningJobs.get",),
    "list_tuning_jobs": ("aiplatform.tuningJobs.list",),
    "cancel_tuning_job": ("aiplatform.tuningJobs.cancel",),
    "create_custom_job": ("aiplatform.customJobs.create",),
    "create_endpoint": ("aiplatform.endpoints.create",),
    "deploy": ("aiplatform.endpoints.create", "aiplatform.endpoints.deploy", "aiplatform.models.upload"),
    "deploy_model": ("aiplatform.endpoints.deploy",),
    "upload_model": ("aiplatform.models.upload",),
}
_WAIT = "recently, wait a few minutes for the action to propagate to our systems and retry."


@dataclass(frozen=True)
class Situation:
    billing: bool = True
    disabled: frozenset[str] = frozenset()
    lacks: frozenset[str] = frozenset()
    quotas: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def read(cls, entry: Mapping[str, Any]) -> Self:
        return cls(
            billing=entry.get("billing") is not False,
            disabled=frozenset(entry.get("disabled", ())),
            lacks=frozenset(entry.get("lacks", ())),
            quotas=dict(entry.get("quotas", {})),
        )

    def check_service(self, service: str, project: str) -> None:
        if service in self.disabled:
            raise _disabled(service, project)

    def check_call(self, method: str, project: str, resource: str) -> None:
        """For a call of Vertex AI. Google's front end asks first whether the API is enabled."""
        self.check_service(VERTEX, project)
        if not self.billing:
            raise _unbilled(project)
        for permission in PERMISSIONS.get(method, ()):
            if permission in self.lacks:
                raise ApiError(
                    "PERMISSION_DENIED",
                    f"Permission '{permission}' denied on resource '//{VERTEX}/{resource}' (or it may not exist).",
                )


def _disabled(service: str, project: str) -> ApiError:
    page = f"https://console.developers.google.com/apis/api/{service}/overview?project={project}"
    message = (
        f"{TITLES.get(service, service)} has not been used in project {project} before or it is disabled. Enable it by"
        f" visiting {page} then retry. If you enabled this API {_WAIT}"
    )
    return ApiError("PERMISSION_DENIED", message, [_reason("SERVICE_DISABLED", service, project)])


def _unbilled(project: str) -> ApiError:
    page = f"https://console.developers.google.com/billing/enable?project={project}"
    message = (
        f"This API method requires billing to be enabled. Please enable billing on project #{project} by visiting"
        f" {page} then retry. If you enabled billing for this project {_WAIT}"
    )
    return ApiError("PERMISSION_DENIED", message, [_reason("BILLING_DISABLED", VERTEX, project)])


def _reason(reason: str, service: str, project: str) -> dict[str, Any]:
    return {
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": reason,
        "domain": "googleapis.com",
        "metadata": {"service": service, "consumer": f"projects/{project_number(project)}"},
    }
