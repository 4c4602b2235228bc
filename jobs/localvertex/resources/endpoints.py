"""Endpoints: get, list, undeploy, delete. They come to be by Model Garden's `:deploy`."""

from google.cloud.aiplatform_v1beta1.types import (
    DeleteEndpointRequest,
    DeleteOperationMetadata,
    DeployedModel,
    Endpoint,
    GenericOperationMetadata,
    GetEndpointRequest,
    ListEndpointsRequest,
    ListEndpointsResponse,
    Model,
    UndeployModelOperationMetadata,
    UndeployModelRequest,
    UndeployModelResponse,
)
from google.protobuf import empty_pb2

from jobs.localvertex.errors import not_found, precondition
from jobs.localvertex.filters import page, select
from jobs.localvertex.resources.call import Call, Route, done_operation, location_of, now
from jobs.localvertex.runner import new_id
from jobs.localvertex.store import Store
from jobs.localvertex.wire import Operation


def get_endpoint(call: Call) -> Endpoint:
    return _shown(call, call.parts.store.get(Endpoint, call.request(GetEndpointRequest).name))


def list_endpoints(call: Call) -> ListEndpointsResponse:
    request = call.request(ListEndpointsRequest)
    found = select(call.parts.store.all(Endpoint, f"{request.parent}/endpoints"), request.filter)
    shown, following = page(found, request.page_size, request.page_token)
    return ListEndpointsResponse(endpoints=[_shown(call, e) for e in shown], next_page_token=following)


def undeploy_model(call: Call) -> Operation:
    """Done when it answers: the model server ends within a second."""
    request = call.posted(UndeployModelRequest)
    store = call.parts.store
    with store.edit(Endpoint, request.endpoint) as endpoint:
        deployed = {model.id: model for model in endpoint.deployed_models}
        if request.deployed_model_id not in deployed:
            raise not_found(f"The DeployedModel {request.deployed_model_id!r} of {request.endpoint}")
        endpoint.deployed_models = [model for id_, model in deployed.items() if id_ != request.deployed_model_id]
        endpoint.traffic_split = {}
        endpoint.update_time = now()
        _forget(store, deployed[request.deployed_model_id].model, request.deployed_model_id)
        metadata = UndeployModelOperationMetadata(generic_metadata=_generic())
        name = f"{request.endpoint}/operations/{new_id()}"
        operation = done_operation(name, metadata, UndeployModelResponse())
        store.insert(operation)
    call.parts.serving.stop(request.endpoint)
    return operation


def delete_endpoint(call: Call) -> Operation:
    name = call.request(DeleteEndpointRequest).name
    store = call.parts.store
    with store.transaction():
        endpoint = store.get(Endpoint, name)
        if endpoint.deployed_models:
            raise precondition(f"The Endpoint {name} has a deployed model. Undeploy it first.")
        if call.parts.deployments.busy(name):
            raise precondition(
                f"A model is being deployed to the Endpoint {name}. Wait for it or cancel the operation."
            )
        store.delete(name)
        return _deleted(store, name)


def _deleted(store: Store, name: str) -> Operation:
    operation = f"{location_of(name)}/operations/{new_id()}"
    done = done_operation(operation, DeleteOperationMetadata(generic_metadata=_generic()), empty_pb2.Empty())
    store.insert(done)
    return done


def _forget(store: Store, model_name: str, deployed_id: str) -> None:
    name = model_name.partition("@")[0]
    if store.find(Model, name) is None:
        return
    with store.edit(Model, name) as model:
        model.deployed_models = [ref for ref in model.deployed_models if ref.deployed_model_id != deployed_id]


def _generic() -> GenericOperationMetadata:
    return GenericOperationMetadata(create_time=now(), update_time=now())


def _shown(call: Call, endpoint: Endpoint) -> Endpoint:
    """What depends on this moment: this server's address, and whether the model server answers."""
    if endpoint.dedicated_endpoint_enabled:
        endpoint.dedicated_endpoint_dns = call.host
    for deployed in endpoint.deployed_models:
        replicas = int(call.parts.serving.ready(endpoint.name))
        deployed.status = DeployedModel.Status(available_replica_count=replicas, last_update_time=now())
    return endpoint


ROUTES = [
    Route("list_endpoints", "GET", "{parent=projects/*/locations/*}/endpoints", list_endpoints),
    Route("get_endpoint", "GET", "{name=projects/*/locations/*/endpoints/*}", get_endpoint),
    Route("undeploy_model", "POST", "{endpoint=projects/*/locations/*/endpoints/*}:undeployModel", undeploy_model),
    Route("delete_endpoint", "DELETE", "{name=projects/*/locations/*/endpoints/*}", delete_endpoint),
]
