"""Long-running operations, under /ui/ (where Google's clients poll), /v1/ and /v1beta1/."""

import re
import time

from google.longrunning import operations_proto_pb2 as operations_pb2
from google.protobuf import empty_pb2, json_format

from jobs.localvertex.api.errors import invalid, precondition
from jobs.localvertex.api.filtering.filters import page, select
from jobs.localvertex.api.wire import Operation, own, refuse_query, snake
from jobs.localvertex.resources.call import Call, Route

LONGEST_WAIT = 30.0
LIST_QUERY = ("filter", "page_size", "page_token", "return_partial_success")


def get_operation(call: Call) -> Operation:
    refuse_query(call.query)
    return _get(call)


def list_operations(call: Call) -> operations_pb2.ListOperationsResponse:
    refuse_query(call.query, LIST_QUERY)
    query = {snake(key): value for key, value in call.query}
    size = query.get("page_size", "0")
    if not re.fullmatch(r"[0-9]{1,9}", size):
        raise invalid("page_size must be a number.", "page_size")
    all_of_them = call.parts.store.all(Operation, f"{call.path['name']}/operations")
    found = select(Operation, all_of_them, query.get("filter", ""))
    shown, following = page(found, int(size), query.get("page_token", ""))
    return operations_pb2.ListOperationsResponse(operations=shown, next_page_token=following)


def delete_operation(call: Call) -> empty_pb2.Empty:
    operation = get_operation(call)
    if not operation.done:
        raise precondition(f"{operation.name} is still running. Cancel it first.")
    call.parts.store.delete(operation.name)
    return empty_pb2.Empty()


def cancel_operation(call: Call) -> empty_pb2.Empty:
    operation = get_operation(call)
    if not operation.done and not call.parts.exports.cancel(operation.name):
        call.parts.deployments.cancel(call.parts.store.note(operation.name).get("parent", operation.name))
    return empty_pb2.Empty()


def wait_operation(call: Call) -> Operation:
    """Google's clients put the timeout into the query, its documentation into the body."""
    refuse_query(call.query, ("timeout",))
    body = call.body if isinstance(call.body, dict) else {}
    request = operations_pb2.WaitOperationRequest()
    try:
        json_format.ParseDict(body | dict(own(call.query)) | dict(call.path), request)
    except json_format.ParseError as error:
        raise invalid(f"Invalid JSON payload received. {error}", "timeout") from None
    asked = request.timeout.ToNanoseconds() / 1e9 or LONGEST_WAIT
    deadline = time.monotonic() + min(asked, LONGEST_WAIT)
    while not (operation := _get(call)).done and time.monotonic() < deadline:
        time.sleep(0.05)
    return operation


def _get(call: Call) -> Operation:
    return call.parts.store.get(Operation, call.path["name"])


_LOCATION = "projects/*/locations/*"

ROUTES = [
    route
    for parent in (_LOCATION, f"{_LOCATION}/*/*", f"{_LOCATION}/*/*/*/*")
    for route in (
        Route("get_operation", "GET", f"{{name={parent}/operations/*}}", get_operation),
        Route("list_operations", "GET", f"{{name={parent}}}/operations", list_operations),
        Route("delete_operation", "DELETE", f"{{name={parent}/operations/*}}", delete_operation),
        Route("cancel_operation", "POST", f"{{name={parent}/operations/*}}:cancel", cancel_operation),
        Route("wait_operation", "POST", f"{{name={parent}/operations/*}}:wait", wait_operation),
    )
]
