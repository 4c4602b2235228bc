"""The model registry: what tuning and deployments left in it."""

from google.cloud.aiplatform_v1beta1.types import (
    DeleteModelRequest,
    DeleteOperationMetadata,
    GenericOperationMetadata,
    GetModelRequest,
    ListModelsRequest,
    ListModelsResponse,
    Model,
)
from google.protobuf import empty_pb2

from jobs.localvertex.errors import not_found, precondition
from jobs.localvertex.filters import page, select
from jobs.localvertex.resources.call import Call, Route, done_operation, location_of, now
from jobs.localvertex.runner import new_id
from jobs.localvertex.wire import Operation


def get_model(call: Call) -> Model:
    name, _, version = call.request(GetModelRequest).name.partition("@")
    model = call.parts.store.get(Model, name)
    if version and version != model.version_id and version not in model.version_aliases:
        raise not_found(f"The Model {name}@{version}")
    return model


def list_models(call: Call) -> ListModelsResponse:
    request = call.request(ListModelsRequest)
    found = select(call.parts.store.all(Model, f"{request.parent}/models"), request.filter)
    shown, following = page(found, request.page_size, request.page_token)
    return ListModelsResponse(models=shown, next_page_token=following)


def delete_model(call: Call) -> Operation:
    name = call.request(DeleteModelRequest).name
    store = call.parts.store
    with store.transaction():
        model = store.get(Model, name)
        if model.deployed_models:
            raise precondition(f"The Model {name} is deployed. Undeploy it first.")
        if call.parts.deployments.uses(name):
            raise precondition(f"The Model {name} is being deployed. Wait for it or cancel the operation.")
        store.delete(name)
        generic = GenericOperationMetadata(create_time=now(), update_time=now())
        operation = f"{location_of(name)}/operations/{new_id()}"
        done = done_operation(operation, DeleteOperationMetadata(generic_metadata=generic), empty_pb2.Empty())
        store.insert(done)
        return done


ROUTES = [
    Route("list_models", "GET", "{parent=projects/*/locations/*}/models", list_models),
    Route("get_model", "GET", "{name=projects/*/locations/*/models/*}", get_model),
    Route("delete_model", "DELETE", "{name=projects/*/locations/*/models/*}", delete_model),
]
