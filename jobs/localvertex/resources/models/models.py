"""The model registry: what tuning and deployments left in it, and what is uploaded to it."""

from typing import Any

from google.cloud.aiplatform_v1beta1.types import (
    CopyModelOperationMetadata,
    CopyModelRequest,
    CopyModelResponse,
    DeleteModelRequest,
    DeleteOperationMetadata,
    GetModelRequest,
    ListModelsRequest,
    ListModelsResponse,
    Model,
    UploadModelOperationMetadata,
    UploadModelRequest,
    UploadModelResponse,
)
from google.protobuf import empty_pb2

from jobs.localvertex.api.errors import exists, invalid, precondition
from jobs.localvertex.api.wire import Operation
from jobs.localvertex.models import registry
from jobs.localvertex.resources.call import Call, Route, generic, list_page, location_of, now
from jobs.localvertex.resources.edits import (
    check_display_name,
    check_etag,
    check_labels,
    check_mask,
    check_model_id,
    given_fields,
    has_mask,
    mask,
    refuse_encryption,
)
from jobs.localvertex.resources.keeping import keep_asked
from jobs.localvertex.storage.buckets import location
from jobs.localvertex.tuning.queue import new_id

PATCHABLE = ("display_name", "description", "version_description", "labels")


def upload_model(call: Call) -> Operation:
    """Done when it answers: the files stay where they are."""
    request = call.parse_post(UploadModelRequest)
    model = _build_upload(request.model)
    with call.parts.store.transaction():
        bare, version = _add(call, "upload_model", request, model)
        metadata = UploadModelOperationMetadata(generic_metadata=generic())
        response = UploadModelResponse(model=bare, model_version_id=version)
        return call.operation(f"{bare}/operations/{new_id()}", metadata, response)


def copy_model(call: Call) -> Operation:
    """To any location. The files stay where they are, so that it is done when it answers."""
    request = call.parse_post(CopyModelRequest)
    if not request.source_model:
        raise invalid("The source_model field is required.", "source_model")
    refuse_encryption(request, "encryption_spec")
    model = _copy(registry.find(call.parts.store, request.source_model))
    with call.parts.store.transaction():
        bare, version = _add(call, "copy_model", request, model)
        metadata = CopyModelOperationMetadata(generic_metadata=generic())
        response = CopyModelResponse(model=bare, model_version_id=version)
        return call.operation(f"{bare}/operations/{new_id()}", metadata, response)


def get_model(call: Call) -> Model:
    return strip_version(registry.find(call.parts.store, call.request(GetModelRequest).name))


def list_models(call: Call) -> ListModelsResponse:
    request = call.request(ListModelsRequest)
    all_of_them = registry.models(call.parts.store, request.parent)
    found, following = list_page(request, Model, all_of_them, order_by=call.order_by(request))
    return ListModelsResponse(models=found, next_page_token=following)


def update_model(call: Call) -> Model:
    """`models/M@2` patches that version, `models/M` the default one; labels and names belong to each version here."""
    given = call.resource(Model, query=("update_mask",))
    paths = mask(call, PATCHABLE) if has_mask(call) else check_mask(given_fields(given, PATCHABLE), PATCHABLE)
    store = call.parts.store
    with store.transaction(), store.edit(Model, registry.find(store, call.path["model.name"]).name) as model:
        check_etag(given.etag, model)
        if "display_name" in paths:
            check_display_name(given.display_name, "model.display_name")
        check_labels(dict(given.labels), "model.labels")
        for path in paths:
            value = getattr(given, path)
            setattr(model, path, value if isinstance(value, str) else dict(value))
        model.update_time = model.version_update_time = now()
    return strip_version(model)


def delete_model(call: Call) -> Operation:
    name = call.request(DeleteModelRequest).name.partition("@")[0]
    store = call.parts.store
    with store.transaction():
        store.get(Model, name)
        found = registry.versions(store, name)
        if any(version.deployed_models for version in found):
            raise precondition(f"The Model {name} is deployed. Undeploy it first.")
        if call.parts.deployments.uses(name):
            raise precondition(f"The Model {name} is being deployed. Wait for it or cancel the operation.")
        for version in found:
            store.delete(version.name)
        metadata = DeleteOperationMetadata(generic_metadata=generic())
        return call.operation(f"{location_of(name)}/operations/{new_id()}", metadata, empty_pb2.Empty())


def strip_version(model: Model) -> Model:
    """Google names a version by `versionId`; the name is the model's."""
    model.name = model.name.partition("@")[0]
    return model


def _add(call: Call, method: str, request: Any, model: Model) -> tuple[str, str]:
    """A model of its own or a version of `parent_model`: its name and version."""
    store = call.parts.store
    if request.parent_model:
        model = registry.add_version(store, request.parent_model.partition("@")[0], model)
    else:
        if request.model_id:
            check_model_id(request.model_id, "model_id")
        model.name = f"{request.parent}/models/{request.model_id or new_id()}"
        model.version_id = "1"
        model.version_aliases = sorted({registry.DEFAULT, *model.version_aliases})
        if store.find(Model, model.name):
            raise exists(f"The Model {model.name}")
        store.insert(model)
    bare = str(model.name.partition("@")[0])
    call.parts.ledger.record(method, bare, version=model.version_id)
    return bare, str(model.version_id)


def _copy(source: Model) -> Model:
    model = _stamp(
        source,
        version_aliases=[],
        original_model_info={"model": f"{source.name.partition('@')[0]}@{source.version_id}"},
    )
    for field in ("model_source_info", "checkpoints"):
        if field in source:
            setattr(model, field, getattr(source, field))
    return model


def _stamp(wanted: Model, **ours: Any) -> Model:
    times = dict.fromkeys(("create_time", "update_time", "version_create_time", "version_update_time"), now())
    return keep_asked(wanted, supported_deployment_resources_types=registry.RESOURCES, **times, **ours)


def _build_upload(given: Model) -> Model:
    check_display_name(given.display_name, "model.display_name")
    check_labels(dict(given.labels), "model.labels")
    refuse_encryption(given, "model.encryption_spec")
    if given.artifact_uri:
        location(given.artifact_uri, "model.artifact_uri")
    for alias in given.version_aliases:
        check_alias(alias)
    garden = given.base_model_source.model_garden_source.public_model_name
    if not (given.artifact_uri or given.container_spec.image_uri or garden):
        raise invalid("One of container_spec and artifact_uri is required: the model has nothing to serve.", "model")
    return _stamp(given)


def check_alias(alias: str) -> None:
    name = alias.removeprefix("-")
    if not (name[:1].isalpha() and name.replace("-", "").isalnum() and name.isascii() and len(alias) <= 128):
        message = f"The version alias {alias!r} is invalid: letters, digits and -, beginning with a letter."
        raise invalid(message, "version_aliases")


_NAME = "projects/*/locations/*/models/*"

ROUTES = [
    Route("upload_model", "POST", "{parent=projects/*/locations/*}/models:upload", upload_model),
    Route("copy_model", "POST", "{parent=projects/*/locations/*}/models:copy", copy_model),
    Route("list_models", "GET", "{parent=projects/*/locations/*}/models", list_models),
    Route("get_model", "GET", f"{{name={_NAME}}}", get_model),
    Route("update_model", "PATCH", f"{{model.name={_NAME}}}", update_model),
    Route("delete_model", "DELETE", f"{{name={_NAME}}}", delete_model),
]
