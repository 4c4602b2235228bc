"""Versions, aliases and checkpoints of a model; and which machine a folder of weights needs."""

from google.cloud.aiplatform_v1beta1.types import (
    DeleteModelVersionRequest,
    DeleteOperationMetadata,
    ListModelVersionCheckpointsRequest,
    ListModelVersionCheckpointsResponse,
    ListModelVersionsRequest,
    ListModelVersionsResponse,
    MergeVersionAliasesRequest,
    Model,
    ModelVersionCheckpoint,
    RecommendSpecRequest,
    RecommendSpecResponse,
)
from google.protobuf import empty_pb2

from jobs.localvertex.api.errors import invalid, precondition
from jobs.localvertex.api.filtering.filters import page
from jobs.localvertex.api.wire import Operation
from jobs.localvertex.models import registry
from jobs.localvertex.models.containers import SERVER_IMAGE
from jobs.localvertex.resources import artifacts
from jobs.localvertex.resources.call import Call, Route, generic, list_page, location_of, now
from jobs.localvertex.resources.models.models import check_alias, strip_version
from jobs.localvertex.storage.buckets import location
from jobs.localvertex.tuning.queue import new_id


def list_model_versions(call: Call) -> ListModelVersionsResponse:
    request = call.request(ListModelVersionsRequest)
    bare = request.name.partition("@")[0]
    call.parts.store.get(Model, bare)
    versions = [strip_version(model) for model in registry.versions(call.parts.store, bare)]
    found, following = list_page(request, Model, versions)
    return ListModelVersionsResponse(models=found, next_page_token=following)


def list_model_version_checkpoints(call: Call) -> ListModelVersionCheckpointsResponse:
    request = call.request(ListModelVersionCheckpointsRequest)
    model = registry.find(call.parts.store, request.name)
    all_of_them = [
        ModelVersionCheckpoint(checkpoint_id=one.checkpoint_id, epoch=one.epoch, step=one.step)
        for one in model.checkpoints
    ]
    found, following = page(all_of_them, request.page_size, request.page_token)
    return ListModelVersionCheckpointsResponse(checkpoints=found, next_page_token=following)


def delete_model_version(call: Call) -> Operation:
    name = call.request(DeleteModelVersionRequest).name
    bare, _, version = name.partition("@")
    if not version:
        raise invalid("The name must have a version: models/MODEL@VERSION.", "name")
    with call.parts.store.transaction():
        if call.parts.deployments.uses(bare):
            raise precondition(f"The Model {bare} is being deployed. Wait for it or cancel the operation.")
        registry.delete_version(call.parts.store, bare, version)
        metadata = DeleteOperationMetadata(generic_metadata=generic())
        return call.operation(f"{location_of(name)}/operations/{new_id()}", metadata, empty_pb2.Empty())


def merge_version_aliases(call: Call) -> Model:
    """An alias moves here from the version that had it; `-alias` takes it away."""
    request = call.parse_post(MergeVersionAliasesRequest)
    bare, _, version = request.name.partition("@")
    if not request.version_aliases:
        raise invalid("The version_aliases field is required.", "version_aliases")
    for alias in request.version_aliases:
        check_alias(alias)
    if f"-{registry.DEFAULT}" in request.version_aliases:
        raise invalid("The alias default can be moved to another version, but not taken away.", "version_aliases")
    store = call.parts.store
    with store.transaction():
        target = registry.find(store, request.name if version else bare).version_id
        for alias in request.version_aliases:
            _move(call, bare, target, alias)
        return strip_version(registry.find(store, f"{bare}@{target}"))


def recommend_spec(call: Call) -> RecommendSpecResponse:
    request = call.parse_post(RecommendSpecRequest)
    if not request.gcs_uri:
        raise invalid("The gcs_uri field is required.", "gcs_uri")
    artifact = artifacts.of_folder(call.parts, location(request.gcs_uri, "gcs_uri"), "gcs_uri")
    specs = [
        RecommendSpecResponse.MachineAndModelContainerSpec(
            machine_spec={"machine_type": machine}, container_spec={"image_uri": SERVER_IMAGE}
        )
        for machine in artifact.machines
    ]
    quota = RecommendSpecResponse.Recommendation.QuotaState.QUOTA_STATE_USER_HAS_QUOTA
    region = request.parent.split("/")[3]
    recommendations = [
        RecommendSpecResponse.Recommendation(
            region=region, spec=spec, user_quota_state=quota if request.check_user_quota else None
        )
        for spec in specs
    ]
    if request.check_machine_availability or request.check_user_quota:
        return RecommendSpecResponse(base_model=artifact.publisher_model, recommendations=recommendations)
    return RecommendSpecResponse(base_model=artifact.publisher_model, specs=specs)


def _move(call: Call, bare: str, target: str, alias: str) -> None:
    store = call.parts.store
    if alias == registry.DEFAULT:
        registry.make_default(store, bare, target)
        return
    name = alias.removeprefix("-")
    for version in registry.versions(store, bare):
        wanted = [one for one in version.version_aliases if one != name]
        if version.version_id == target and not alias.startswith("-"):
            wanted.append(name)
        if wanted != list(version.version_aliases):
            with store.edit(Model, version.name) as model:
                model.version_aliases = wanted
                model.version_update_time = now()


_NAME = "{name=projects/*/locations/*/models/*}"

ROUTES = [
    Route("list_model_versions", "GET", f"{_NAME}:listVersions", list_model_versions),
    Route("list_model_version_checkpoints", "GET", f"{_NAME}:listCheckpoints", list_model_version_checkpoints),
    Route("delete_model_version", "DELETE", f"{_NAME}:deleteVersion", delete_model_version),
    Route("merge_version_aliases", "POST", f"{_NAME}:mergeVersionAliases", merge_version_aliases),
    Route("recommend_spec", "POST", "{parent=projects/*/locations/*}:recommendSpec", recommend_spec),
]
