"""The model that an endpoint's own row stood for gets a row of its own, with the same id.

What ran goes on: the step that was next for the endpoint is next for the model or the endpoint, whichever it is now
about, and claims of workers that have ended are left behind.
"""

from django.db import migrations
from django.utils import timezone

SAME = (
    "owner_id", "location", "request_hash", "resource_name", "attempt", "submit_started_at", "licence_sent_at",
    "accepts_licence", "spot", "machine_type", "accelerator_type", "accelerator_count", "min_replicas", "max_replicas",
    "available_replicas", "model_user_id", "publisher_model", "artifact_uri", "base_model", "stage", "stage_times",
    "model_resource_name", "deployed_model_id", "job_id", "automatic", "replicas_asked_at", "replicas_sent_at",
    "created_at", "started_at",
)  # fmt: skip
DEPLOYMENT_ENDED = ("SUCCESSFULLY_DEPLOYED", "FAILED_TO_DEPLOY")
UNSURE = ("SUBMITTING", "AMBIGUOUS", "NEEDS_DECISION")
BATCH = 500


def add_first_models(apps, schema_editor):
    Endpoint, DeployedModel = apps.get_model("jobs", "Endpoint"), apps.get_model("jobs", "DeployedModel")
    for endpoint in Endpoint.objects.filter(main_model=None).iterator(BATCH):
        model, changes = split(endpoint)
        DeployedModel(pk=endpoint.pk, endpoint_id=endpoint.pk, **model).save(force_insert=True)
        kept = {"updated_at": endpoint.updated_at}
        DeployedModel.objects.filter(pk=endpoint.pk).update(**kept)
        Endpoint.objects.filter(pk=endpoint.pk).update(main_model_id=endpoint.pk, **changes, **kept)


def split(endpoint):
    """The columns of the model, and those of the endpoint that change."""
    model = {name: getattr(endpoint, name) for name in SAME}
    model |= {"display_name": endpoint.model_display_name or endpoint.display_name, "phase": endpoint.phase}
    model |= OF_STATE[endpoint.state](endpoint)
    changes = {"lease_token": None, "lease_until": None}
    if endpoint.phase not in ("BOUND", "CLOSED"):
        changes["phase"] = "INTENT"
    if model["next_check_at"] and endpoint.state == "DEPLOYING":
        changes["next_check_at"] = None
    if model.get("operation_name"):
        changes["operation_name"] = ""
    return model, changes


def deploying(endpoint):
    return {
        "state": "DEPLOYING", "next_check_at": endpoint.next_check_at, "operation_name": endpoint.operation_name,
        "notice": endpoint.notice, "empty_looks": endpoint.empty_looks,
    }  # fmt: skip


def ready(endpoint):
    """An operation of a ready endpoint changes the number of replicas."""
    asked = endpoint.replicas_asked_at and timezone.now()
    return {"state": "READY", "next_check_at": asked, "operation_name": endpoint.operation_name}


def ending(endpoint):
    """A deployment that still runs is waited for; what was begun to take it away is looked at again."""
    still_deploying = endpoint.stage not in DEPLOYMENT_ENDED or endpoint.phase in UNSURE
    operation = endpoint.operation_name if still_deploying else ""
    return {"state": "UNDEPLOYING", "next_check_at": timezone.now(), "operation_name": operation}


def undeployed(endpoint):
    return {"state": "UNDEPLOYED", "phase": "CLOSED", "next_check_at": None, "ended_at": endpoint.ended_at}


def failed(endpoint):
    """What it left in the registry goes with the endpoint."""
    location, found, _endpoint_id = endpoint.resource_name.partition("/endpoints/")
    return {
        "state": "FAILED", "phase": "CLOSED", "next_check_at": None, "ended_at": endpoint.ended_at,
        "error_code": endpoint.error_code, "error_message": endpoint.error_message,
        "model_resource_name": f"{location}/models/{endpoint.model_user_id}" if found else "",
    }  # fmt: skip


OF_STATE = {
    "DEPLOYING": deploying,
    "READY": ready,
    "UNDEPLOYING": ending,
    "DELETING": ending,
    "UNDEPLOYED": undeployed,
    "DELETED": undeployed,
    "FAILED": failed,
}


class Migration(migrations.Migration):
    dependencies = [("jobs", "0034_deployed_models")]

    operations = [migrations.RunPython(add_first_models, migrations.RunPython.noop, elidable=True)]
