"""Endpoints by themselves: create, get, list, patch, delete. What is deployed to them is in `deployed_models`."""

import re
from collections.abc import Sequence
from datetime import timedelta

from google.cloud.aiplatform_v1beta1.types import (
    CreateEndpointOperationMetadata,
    CreateEndpointRequest,
    DedicatedResources,
    DeleteEndpointRequest,
    DeleteOperationMetadata,
    DeployedModel,
    Endpoint,
    GetEndpointRequest,
    ListEndpointsRequest,
    ListEndpointsResponse,
    UpdateEndpointLongRunningRequest,
    UpdateEndpointOperationMetadata,
)
from google.protobuf import empty_pb2

from jobs.localvertex.api import hosts
from jobs.localvertex.api.errors import exists, invalid, precondition
from jobs.localvertex.api.wire import Operation
from jobs.localvertex.resources.call import Call, Route, generic, list_page, location_of, now
from jobs.localvertex.resources.edits import (
    PRIVATE,
    check_display_name,
    check_endpoint_id,
    check_etag,
    check_labels,
    check_split,
    copy_fields,
    given_fields,
    mask,
    refuse_encryption,
    refuse_private,
)
from jobs.localvertex.resources.keeping import keep_asked, refuse_changes
from jobs.localvertex.serving.pool import Serving, name_of
from jobs.localvertex.serving.served import ANSWERING, ASLEEP, STARTING
from jobs.localvertex.tuning.queue import new_id

LOGGING = "predict_request_response_logging_config"  # kept and shown; nothing is logged
PATCHABLE = ("display_name", "description", "labels", "traffic_split", LOGGING)
CHANGEABLE = ("client_connection_config", LOGGING)
LONGEST_INFERENCE_SECONDS = 3600
_BASE = re.compile(r'^\s*base_?[mM]odel_?[nN]ame\s*=\s*"?(?P<value>[\w./@-]+)"?\s*(?:AND\s+|$)')


def create_endpoint(call: Call) -> Operation:
    request = call.request(CreateEndpointRequest)
    wanted = call.resource(Endpoint, query=("endpoint_id",))
    hosts.refuse_global(request.parent)
    check_display_name(wanted.display_name, "endpoint.display_name")
    check_labels(dict(wanted.labels), "endpoint.labels")
    if wanted.deployed_models or wanted.traffic_split:
        raise invalid("deployed_models and traffic_split are set by deploying a model.", "endpoint.deployed_models")
    refuse_private(wanted, "endpoint.", ("network", "enable_private_service_connect", PRIVATE))
    refuse_encryption(wanted, "endpoint.encryption_spec")
    _check_timeout(wanted)
    _check_logging(wanted)
    number = request.endpoint_id or new_id()
    if request.endpoint_id:
        check_endpoint_id(number, "endpoint_id")
    endpoint = keep_asked(wanted, name=f"{request.parent}/endpoints/{number}", create_time=now(), update_time=now())
    with call.parts.store.transaction():
        if call.parts.store.find(Endpoint, endpoint.name):
            raise exists(f"The Endpoint {endpoint.name}")
        call.parts.store.insert(endpoint)
        call.parts.ledger.record("create_endpoint", endpoint.name)
        metadata = CreateEndpointOperationMetadata(generic_metadata=generic())
        return call.operation(f"{endpoint.name}/operations/{new_id()}", metadata, add_live_state(call, endpoint))


def get_endpoint(call: Call) -> Endpoint:
    return add_live_state(call, call.parts.store.get(Endpoint, call.request(GetEndpointRequest).name))


def list_endpoints(call: Call) -> ListEndpointsResponse:
    request = call.request(ListEndpointsRequest)
    all_of_them: Sequence[Endpoint] = call.parts.store.all(Endpoint, f"{request.parent}/endpoints")
    if named := _BASE.search(request.filter):
        all_of_them = [one for one in all_of_them if _has_base(call, one, named["value"])]
        request.filter = _BASE.sub("", request.filter)
    found, following = list_page(
        request, Endpoint, all_of_them, lambda endpoint: add_live_state(call, endpoint), call.order_by(request)
    )
    return ListEndpointsResponse(endpoints=found, next_page_token=following)


def _has_base(call: Call, endpoint: Endpoint, wanted: str) -> bool:
    """Whether a model is deployed there that was tuned from it, or is it."""
    notes = [call.parts.store.note(name_of(endpoint.name, one.id)) for one in endpoint.deployed_models]
    bases = [note.get("base", "") for note in notes]
    return any(wanted in (base, base.partition("@")[2]) for base in bases if base)


def update_endpoint(call: Call) -> Endpoint:
    given, paths = call.resource(Endpoint, query=("update_mask",)), mask(call, PATCHABLE)
    with call.parts.store.edit(Endpoint, call.path["endpoint.name"]) as endpoint:
        check_etag(given.etag, endpoint)
        if "display_name" in paths:
            check_display_name(given.display_name, "endpoint.display_name")
        check_labels(dict(given.labels), "endpoint.labels")
        if "traffic_split" in paths:
            check_split(given.traffic_split, [deployed.id for deployed in endpoint.deployed_models])
        _check_logging(given)
        copy_fields(given, endpoint, paths)
        endpoint.update_time = now()
    return add_live_state(call, endpoint)


def update_endpoint_long_running(call: Call) -> Operation:
    """`:update`, for what a patch cannot change: the time that an inference may take, and what is to be logged."""
    given = call.parse_post(UpdateEndpointLongRunningRequest).endpoint
    _check_timeout(given)
    with call.parts.store.transaction():
        with call.parts.store.edit(Endpoint, given.name) as endpoint:
            check_etag(given.etag, endpoint)
            refuse_changes(given, endpoint, (*CHANGEABLE, "etag"), "endpoint.")
            for field in given_fields(given, CHANGEABLE):
                setattr(endpoint, field, getattr(given, field))
            endpoint.update_time = now()
        metadata = UpdateEndpointOperationMetadata(generic_metadata=generic())
        return call.operation(f"{given.name}/operations/{new_id()}", metadata, add_live_state(call, endpoint))


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
        metadata = DeleteOperationMetadata(generic_metadata=generic())
        return call.operation(f"{location_of(name)}/operations/{new_id()}", metadata, empty_pb2.Empty())


def add_live_state(call: Call, endpoint: Endpoint) -> Endpoint:
    """What depends on this moment: the dedicated host, and whether the model servers answer."""
    if endpoint.dedicated_endpoint_enabled:
        endpoint.dedicated_endpoint_dns = hosts.dedicated_dns(endpoint.name, call.host, own=call.parts.dedicated_hosts)
    for deployed in endpoint.deployed_models:
        _show_state(deployed, call.parts.serving, name_of(endpoint.name, deployed.id))
    return endpoint


def _show_state(deployed: DeployedModel, serving: Serving, name: str) -> None:
    """One that sleeps has no replica and no message, as one that Google has scaled to zero."""
    state, trouble = serving.state(name)
    message = "" if state in (ANSWERING, ASLEEP) else "The model server is starting." if state == STARTING else trouble
    replicas = int(state == ANSWERING)
    deployed.status = DeployedModel.Status(message=message, available_replica_count=replicas, last_update_time=now())
    if "dedicated_resources" not in deployed:
        return
    idle = {"idle_scaledown_period": timedelta(seconds=serving.idle_seconds)} if serving.idle_seconds else {}
    if "scale_to_zero_spec" not in deployed.dedicated_resources:
        deployed.dedicated_resources.scale_to_zero_spec = DedicatedResources.ScaleToZeroSpec(**idle)


def _check_timeout(endpoint: Endpoint) -> None:
    seconds = endpoint.client_connection_config.inference_timeout
    if seconds and not 0 < seconds.total_seconds() <= LONGEST_INFERENCE_SECONDS:
        field = "endpoint.client_connection_config.inference_timeout"
        raise invalid(f"inference_timeout must be at most {LONGEST_INFERENCE_SECONDS} seconds.", field)


def _check_logging(endpoint: Endpoint) -> None:
    rate = endpoint.predict_request_response_logging_config.sampling_rate
    if not 0 <= rate <= 1:
        raise invalid("sampling_rate must be between 0 and 1.", f"endpoint.{LOGGING}.sampling_rate")


_NAME = "projects/*/locations/*/endpoints/*"

ROUTES = [
    Route("create_endpoint", "POST", "{parent=projects/*/locations/*}/endpoints", create_endpoint),
    Route("list_endpoints", "GET", "{parent=projects/*/locations/*}/endpoints", list_endpoints),
    Route("get_endpoint", "GET", f"{{name={_NAME}}}", get_endpoint),
    Route("update_endpoint", "PATCH", f"{{endpoint.name={_NAME}}}", update_endpoint),
    Route("update_endpoint_long_running", "POST", f"{{endpoint.name={_NAME}}}:update", update_endpoint_long_running),
    Route("delete_endpoint", "DELETE", f"{{name={_NAME}}}", delete_endpoint),
]
