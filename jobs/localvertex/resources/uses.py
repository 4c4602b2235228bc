"""What goes on with the weights of a base model, so that they cannot be taken away."""

from collections.abc import Iterator

from google.cloud.aiplatform_v1beta1.types import BatchPredictionJob, CustomJob, Endpoint, TuningJob

from jobs.localvertex.api.wire import Json, Operation
from jobs.localvertex.models.catalogue import model_id
from jobs.localvertex.models.exports import NOTE
from jobs.localvertex.resources.call import Parts
from jobs.localvertex.serving.deployments import MERGED
from jobs.localvertex.serving.pool import name_of
from jobs.localvertex.tuning.queue import UNFINISHED


def list_uses(parts: Parts, base: str) -> list[str]:
    """In words, each with its name. A whole model that a tuning left has weights of its own, and is no use of these."""
    # A deployment that ends meanwhile becomes an endpoint: whoever looked there first would see neither.
    looks = (_find_requests, _find_operations, _find_endpoints, _find_trainings, _find_batches)
    return [use for look in looks for use in look(parts, base)]


def name_without_endpoint(parts: Parts, base: str) -> str:
    """What it is served as to requests that name the model itself."""
    model = parts.catalogue.get(base)
    return name_of(model.resource_name, model.publisher)


def _find_requests(parts: Parts, base: str) -> Iterator[str]:
    if parts.serving.is_busy(name_without_endpoint(parts, base)):
        yield "a request that is being answered"


def _find_endpoints(parts: Parts, base: str) -> Iterator[str]:
    for endpoint in parts.store.all(Endpoint):
        notes = (parts.store.note(name_of(endpoint.name, one.id)) for one in endpoint.deployed_models)
        if any(_needs(note, base) for note in notes):
            yield f"the endpoint {endpoint.display_name or endpoint.name}"


def _find_operations(parts: Parts, base: str) -> Iterator[str]:
    for operation in parts.store.find_undone(Operation):
        note = parts.store.note(operation.name)
        if _needs(note, base):
            yield f"a deployment to {note['endpoint']}"
        elif note.get(NOTE, {}).get("model") == base:
            yield f"an export to {note[NOTE]['destination']}"


def _find_trainings(parts: Parts, base: str) -> Iterator[str]:
    """A tuning that goes on from another's result needs them, too."""
    states = [state.name for state in UNFINISHED]
    for job in parts.store.find_in_states(TuningJob, states):
        if model_id(job.base_model) == base:
            yield f"the tuning job {job.tuned_model_display_name}"
    for custom in parts.store.find_in_states(CustomJob, states):
        if model_id(parts.store.note(custom.name)["plan"]["baseModel"]) == base:
            yield f"the custom job {custom.display_name}"


def _find_batches(parts: Parts, base: str) -> Iterator[str]:
    for job in parts.store.find_in_states(BatchPredictionJob, [state.name for state in UNFINISHED]):
        if _needs(parts.store.note(job.name), base):
            yield f"the batch prediction job {job.display_name}"


def _needs(note: Json, base: str) -> bool:
    return note.get("base") == base and note.get("form") != MERGED
