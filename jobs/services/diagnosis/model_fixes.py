"""Mends a model that was to join others on an endpoint and was not deployed: puts it there again, as another one."""

from collections.abc import Mapping
from typing import Any
from uuid import uuid5

from jobs.models import DeployedModel
from jobs.services.endpoints import deployed_models, endpoints
from jobs.services.endpoints.deployed_models import DeployedModelSpec
from jobs.services.endpoints.endpoints import Machine
from jobs.services.endpoints.serving.spec import ServingOptions
from jobs.services.tuned_models import checkpoints

from . import policies
from .causes import Fix
from .endpoint_fixes import changes_of
from .of_endpoint import diagnose_model

COPIED = ("display_name", "share", "accepts_licence", "min_replicas", "max_replicas")
OF_MACHINE = ("machine_type", "accelerator_type", "accelerator_count")


def mend(model: DeployedModel, fix: str) -> DeployedModel:
    """Asked twice it is one model. Raises NotAllowedNow."""
    if found := find_attempt(model):
        return found
    policies.check_can_redeploy(diagnose_model(model), fix)
    spec = _spec_of(model, changes_of(model, fix))
    return deployed_models.add(model.endpoint, key=uuid5(model.pk, f"mend {fix}"), spec=spec)


def find_attempt(model: DeployedModel) -> DeployedModel | None:
    """The one that was put there in its place, whatever became of it."""
    machines = [f"{Fix.MACHINE}:{one}" for one in model.endpoint.deployed_models.values_list("machine_type", flat=True)]
    keys = [uuid5(model.pk, f"mend {fix}") for fix in (*Fix, *machines)]
    found: DeployedModel | None = DeployedModel.objects.filter(pk__in=keys).first()
    return found


def _spec_of(model: DeployedModel, changes: Mapping[str, Any]) -> DeployedModelSpec:
    values = {name: getattr(model, name) for name in (*COPIED, *OF_MACHINE)} | dict(changes)
    options = ServingOptions.from_json(model.serving_options)
    machine = Machine(*(values.pop(name) for name in OF_MACHINE))
    return DeployedModelSpec(
        **values, **_source_of(model), machine=machine if machine.machine_type else None, options=options
    )


def _source_of(model: DeployedModel) -> dict[str, Any]:
    """A job's model is named by the job, as long as the folder is one of its own."""
    if model.publisher_model:
        return {"publisher_model": model.publisher_model}
    job = model.job
    known = ["", *checkpoints.ids(job)] if job else []
    found = next((one for one in known if job and endpoints.artifact_uri(job, one) == model.artifact_uri), None)
    return {"artifact_uri": model.artifact_uri} if found is None else {"job": job, "checkpoint": found}
