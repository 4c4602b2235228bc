"""Kinds of resources that this server never has: their lists are empty, and making one is refused with what to do."""

import re
from typing import NoReturn

from google.cloud.aiplatform_v1beta1.types import (
    CancelHyperparameterTuningJobRequest,
    CreatePersistentResourceRequest,
    DeleteHyperparameterTuningJobRequest,
    DeletePersistentResourceRequest,
    GetHyperparameterTuningJobRequest,
    GetPersistentResourceRequest,
    HyperparameterTuningJob,
    ListHyperparameterTuningJobsRequest,
    ListHyperparameterTuningJobsResponse,
    ListPersistentResourcesRequest,
    ListPersistentResourcesResponse,
    PersistentResource,
    RebootPersistentResourceRequest,
)
from proto import Message

from jobs.localvertex.api.errors import ApiError, invalid, not_found, precondition
from jobs.localvertex.resources.call import Call, Route, list_page
from jobs.localvertex.resources.edits import check_display_name, check_labels, mask, refuse_encryption

_RESOURCE_ID = re.compile(r"^[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?$")
_CHANGES = ("display_name", "labels", "resource_pools")


def list_hyperparameter_tuning_jobs(call: Call) -> ListHyperparameterTuningJobsResponse:
    _, following = list_page(call.request(ListHyperparameterTuningJobsRequest), HyperparameterTuningJob, [])
    return ListHyperparameterTuningJobsResponse(next_page_token=following)


def create_hyperparameter_tuning_job(call: Call) -> NoReturn:
    job = call.resource(HyperparameterTuningJob)
    check_display_name(job.display_name, "hyperparameter_tuning_job.display_name")
    check_labels(dict(job.labels), "hyperparameter_tuning_job.labels")
    refuse_encryption(job, "hyperparameter_tuning_job.encryption_spec")
    for field in ("study_spec", "trial_job_spec"):
        if field not in job:
            raise invalid(f"The {field} field is required.", f"hyperparameter_tuning_job.{field}")
    for field in ("max_trial_count", "parallel_trial_count"):
        if getattr(job, field) < 1:
            raise invalid(f"{field} must be at least 1.", f"hyperparameter_tuning_job.{field}")
    raise precondition(
        "This server chooses no trials: it runs no hyperparameter tuning. Create a tuning job or a custom job for each"
        " set of values that you want to try."
    )


def get_hyperparameter_tuning_job(call: Call) -> NoReturn:
    raise _never(call, GetHyperparameterTuningJobRequest)


def cancel_hyperparameter_tuning_job(call: Call) -> NoReturn:
    raise not_found(_what(HyperparameterTuningJob, call.parse_post(CancelHyperparameterTuningJobRequest).name))


def delete_hyperparameter_tuning_job(call: Call) -> NoReturn:
    raise _never(call, DeleteHyperparameterTuningJobRequest)


def list_persistent_resources(call: Call) -> ListPersistentResourcesResponse:
    _, following = list_page(call.request(ListPersistentResourcesRequest), PersistentResource, [])
    return ListPersistentResourcesResponse(next_page_token=following)


def create_persistent_resource(call: Call) -> NoReturn:
    resource = call.resource(PersistentResource, query=("persistent_resource_id",))
    identifier = call.request(CreatePersistentResourceRequest).persistent_resource_id
    if not _RESOURCE_ID.match(identifier):
        message = "persistent_resource_id must start with a letter, have at most 63 characters of [a-z0-9-]"
        raise invalid(f"{message} and not end with -.", "persistent_resource_id")
    check_display_name(resource.display_name, "persistent_resource.display_name", required=False)
    check_labels(dict(resource.labels), "persistent_resource.labels")
    refuse_encryption(resource, "persistent_resource.encryption_spec")
    if not resource.resource_pools:
        raise invalid("The resource_pools field is required.", "persistent_resource.resource_pools")
    raise precondition(
        "This server has one machine and reserves none: it makes no persistent resources. Leave persistent_resource_id"
        " out of your custom jobs."
    )


def get_persistent_resource(call: Call) -> NoReturn:
    raise _never(call, GetPersistentResourceRequest)


def update_persistent_resource(call: Call) -> NoReturn:
    call.resource(PersistentResource, query=("update_mask",))
    mask(call, _CHANGES)
    raise not_found(_what(PersistentResource, call.path["persistent_resource.name"]))


def delete_persistent_resource(call: Call) -> NoReturn:
    raise _never(call, DeletePersistentResourceRequest)


def reboot_persistent_resource(call: Call) -> NoReturn:
    raise not_found(_what(PersistentResource, call.parse_post(RebootPersistentResourceRequest).name))


def _never(call: Call, kind: type[Message]) -> ApiError:
    is_resource = "PersistentResource" in kind.__name__
    return not_found(_what(PersistentResource if is_resource else HyperparameterTuningJob, call.request(kind).name))


def _what(kind: type[Message], name: str) -> str:
    return f"The {kind.__name__} {name}"


_PARENT = "{parent=projects/*/locations/*}"
_JOB = "{name=projects/*/locations/*/hyperparameterTuningJobs/*}"
_RESOURCE = "projects/*/locations/*/persistentResources/*"

ROUTES = [
    Route(
        "list_hyperparameter_tuning_jobs",
        "GET",
        f"{_PARENT}/hyperparameterTuningJobs",
        list_hyperparameter_tuning_jobs,
    ),
    Route(
        "create_hyperparameter_tuning_job",
        "POST",
        f"{_PARENT}/hyperparameterTuningJobs",
        create_hyperparameter_tuning_job,
    ),
    Route("get_hyperparameter_tuning_job", "GET", _JOB, get_hyperparameter_tuning_job),
    Route("cancel_hyperparameter_tuning_job", "POST", f"{_JOB}:cancel", cancel_hyperparameter_tuning_job),
    Route("delete_hyperparameter_tuning_job", "DELETE", _JOB, delete_hyperparameter_tuning_job),
    Route("list_persistent_resources", "GET", f"{_PARENT}/persistentResources", list_persistent_resources),
    Route("create_persistent_resource", "POST", f"{_PARENT}/persistentResources", create_persistent_resource),
    Route("get_persistent_resource", "GET", f"{{name={_RESOURCE}}}", get_persistent_resource),
    Route(
        "update_persistent_resource", "PATCH", f"{{persistent_resource.name={_RESOURCE}}}", update_persistent_resource
    ),
    Route("delete_persistent_resource", "DELETE", f"{{name={_RESOURCE}}}", delete_persistent_resource),
    Route("reboot_persistent_resource", "POST", f"{{name={_RESOURCE}}}:reboot", reboot_persistent_resource),
]
