"""The metadata store as experiments use it: contexts, executions and artifacts, and what holds them together."""

import re
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from google.cloud.aiplatform_v1beta1 import types
from google.cloud.aiplatform_v1beta1.types import Artifact, Context, DeleteOperationMetadata, Event, Execution
from google.protobuf import empty_pb2

from jobs.localvertex.api.errors import exists, invalid, not_found, precondition
from jobs.localvertex.api.wire import Operation, load, render
from jobs.localvertex.resources.call import Call, Reply, Route, generic, list_page, location_of, now
from jobs.localvertex.resources.edits import (
    check_etag,
    check_labels,
    check_mask,
    copy_fields,
    given_fields,
    has_mask,
    mask,
)
from jobs.localvertex.resources.keeping import keep_asked
from jobs.localvertex.tuning.queue import new_id

STORE = "default"
_ID = re.compile(r"^[a-z0-9][a-z0-9-]{0,127}$")
_IN_CONTEXT = re.compile(r'(?:\s+AND\s+)?\bin_context\(\s*"(?P<name>[^"]*)"\s*\)')


@dataclass(frozen=True)
class Kind:
    """`word` as its name is in requests; `changes`: what a patch may change."""

    message: Any
    word: str
    changes: tuple[str, ...]

    @property
    def plural(self) -> str:
        return f"{self.word}s"

    def request(self, verb: str) -> Any:
        name = self.plural if verb == "List" else self.word
        return getattr(types, f"{verb}{name.capitalize()}Request")


COMMON = ("display_name", "description", "labels", "metadata")
CONTEXT = Kind(Context, "context", COMMON)
EXECUTION = Kind(Execution, "execution", (*COMMON, "state"))
ARTIFACT = Kind(Artifact, "artifact", (*COMMON, "state", "uri"))
KINDS = (CONTEXT, EXECUTION, ARTIFACT)


def get_metadata_store(call: Call) -> types.MetadataStore:
    """Each location has the default one, and no other."""
    name = call.request(types.GetMetadataStoreRequest).name
    _check_store(f"{name}/")
    return types.MetadataStore(name=name)


def create(kind: Kind, call: Call) -> Any:
    request = call.request(kind.request("Create"))
    wanted = call.resource(kind.message, query=(f"{kind.word}_id",))
    _check_store(f"{request.parent}/")
    check_labels(dict(wanted.labels), f"{kind.word}.labels")
    identifier = getattr(request, f"{kind.word}_id") or secrets.token_hex(16)
    if not _ID.match(identifier):
        message = f"{kind.word}_id must have at most 128 characters of [a-z0-9-] and not start with -."
        raise invalid(message, f"{kind.word}_id")
    return _make(kind, call, wanted, f"{request.parent}/{kind.plural}/{identifier}")


def _make(kind: Kind, call: Call, wanted: Any, name: str) -> Any:
    made = keep_asked(wanted, name=name, create_time=now(), update_time=now())
    with call.parts.store.transaction():
        if call.parts.store.find(kind.message, made.name):
            raise exists(f"The {kind.message.__name__} {made.name}")
        call.parts.store.insert(made)
        call.parts.ledger.record(f"create_{kind.word}", made.name)
    return made


def get(kind: Kind, call: Call) -> Any:
    return call.parts.store.get(kind.message, call.request(kind.request("Get")).name)


def list_all(kind: Kind, call: Call) -> Any:
    request = call.request(kind.request("List"))
    found: Sequence[Any] = call.parts.store.all(kind.message, f"{request.parent}/{kind.plural}")
    for held in _IN_CONTEXT.finditer(request.filter):
        names = call.parts.store.note(held["name"]).get(kind.plural, [])
        found = [one for one in found if one.name in names]
    request.filter = re.sub(r"^\s*AND\s+", "", _IN_CONTEXT.sub("", request.filter))
    shown, following = list_page(request, kind.message, found)
    reply = getattr(types, f"List{kind.plural.capitalize()}Response")
    return reply(**{kind.plural: shown, "next_page_token": following})


def update(kind: Kind, call: Call) -> Any:
    may_make = call.request(kind.request("Update")).allow_missing
    given = call.resource(kind.message, query=("update_mask", "allow_missing"))
    paths = mask(call, kind.changes) if has_mask(call) else check_mask(given_fields(given, kind.changes), kind.changes)
    check_labels(dict(given.labels), f"{kind.word}.labels")
    name = call.path[f"{kind.word}.name"]
    with call.parts.store.transaction():
        if may_make and call.parts.store.find(kind.message, name) is None:
            _check_store(name.partition(f"{kind.plural}/")[0])
            return _make(kind, call, given, name)
        return _change(kind, call, given, name, paths)


def _change(kind: Kind, call: Call, given: Any, name: str, paths: Sequence[str]) -> Any:
    with call.parts.store.edit(kind.message, name) as changed:
        check_etag(given.etag, changed)
        copy_fields(given, changed, paths)
        changed.update_time = now()
    return changed


def delete(kind: Kind, call: Call) -> Operation:
    request = call.request(kind.request("Delete"))
    with call.parts.store.transaction():
        found = call.parts.store.get(kind.message, request.name)
        check_etag(request.etag, found)
        if kind is CONTEXT and not request.force and (children := _children(call, found.name)):
            raise precondition(f"The Context {found.name} has children, such as {children[0].name}. Delete them first.")
        call.parts.store.delete(found.name)
        metadata = DeleteOperationMetadata(generic_metadata=generic())
        return call.operation(f"{location_of(found.name)}/operations/{new_id()}", metadata, empty_pb2.Empty())


def add_context_artifacts_and_executions(call: Call) -> types.AddContextArtifactsAndExecutionsResponse:
    request = call.parse_post(types.AddContextArtifactsAndExecutionsRequest)
    store = call.parts.store
    with store.transaction():
        store.get(Context, request.context)
        _require(call, Artifact, request.artifacts)
        _require(call, Execution, request.executions)
        note = store.note(request.context)
        links = {
            "artifacts": [*dict.fromkeys([*note.get("artifacts", []), *request.artifacts])],
            "executions": [*dict.fromkeys([*note.get("executions", []), *request.executions])],
        }
        store.write_note(request.context, **links)
    return types.AddContextArtifactsAndExecutionsResponse()


def add_context_children(call: Call) -> types.AddContextChildrenResponse:
    request = call.parse_post(types.AddContextChildrenRequest)
    store = call.parts.store
    with store.transaction():
        store.get(Context, request.context)
        _require(call, Context, request.child_contexts)
        for name in request.child_contexts:
            if name == request.context:
                raise invalid("A context cannot be a child of its own.", "child_contexts")
            with store.edit(Context, name, stamped=False) as child:
                child.parent_contexts = [*dict.fromkeys([*child.parent_contexts, request.context])]
    return types.AddContextChildrenResponse()


def add_execution_events(call: Call) -> types.AddExecutionEventsResponse:
    request = call.parse_post(types.AddExecutionEventsRequest)
    store = call.parts.store
    with store.transaction():
        store.get(Execution, request.execution)
        _require(call, Artifact, [event.artifact for event in request.events])
        added = []
        for event in request.events:
            event.execution, event.event_time = request.execution, now()
            added.append(render(event))
        store.write_note(request.execution, events=[*store.note(request.execution).get("events", []), *added])
    return types.AddExecutionEventsResponse()


def query_context_lineage_subgraph(call: Call) -> types.LineageSubgraph:
    """What was added to the context itself."""
    name = call.request(types.QueryContextLineageSubgraphRequest).context
    call.parts.store.get(Context, name)
    note = call.parts.store.note(name)
    return _graph(call, note.get("executions", []), note.get("artifacts", []))


def query_execution_inputs_and_outputs(call: Call) -> types.LineageSubgraph:
    name = call.request(types.QueryExecutionInputsAndOutputsRequest).execution
    call.parts.store.get(Execution, name)
    return _graph(call, [name], [])


def _graph(call: Call, executions: Sequence[str], artifacts: Sequence[str]) -> types.LineageSubgraph:
    """With each execution come its events, and with these their artifacts. What was deleted meanwhile is left out."""
    store = call.parts.store
    events = [load(Event, one) for name in executions for one in store.note(name).get("events", [])]
    named = dict.fromkeys([*artifacts, *(event.artifact for event in events)])
    return types.LineageSubgraph(
        artifacts=[one for name in named if (one := store.find(Artifact, name))],
        executions=[one for name in executions if (one := store.find(Execution, name))],
        events=events,
    )


def _children(call: Call, name: str) -> list[Context]:
    return [one for one in call.parts.store.all(Context, name.rpartition("/")[0]) if name in one.parent_contexts]


def _require(call: Call, message: Any, names: Sequence[str]) -> None:
    for name in names:
        call.parts.store.get(message, name)


def _check_store(name: str) -> None:
    if not name.endswith(f"/metadataStores/{STORE}/"):
        raise not_found(f"The MetadataStore {name[:-1]}")


_STORE = "projects/*/locations/*/metadataStores/*"


def _routes(kind: Kind) -> list[Route]:
    name, parent = f"{_STORE}/{kind.plural}/*", f"{{parent={_STORE}}}/{kind.plural}"
    calls: list[tuple[str, str, str, Callable[[Kind, Call], Reply]]] = [
        (f"create_{kind.word}", "POST", parent, create),
        (f"list_{kind.plural}", "GET", parent, list_all),
        (f"get_{kind.word}", "GET", f"{{name={name}}}", get),
        (f"update_{kind.word}", "PATCH", f"{{{kind.word}.name={name}}}", update),
        (f"delete_{kind.word}", "DELETE", f"{{name={name}}}", delete),
    ]
    return [Route(method, verb, path, partial(run, kind)) for method, verb, path, run in calls]


_CONTEXT, _EXECUTION = f"{{context={_STORE}/contexts/*}}", f"{{execution={_STORE}/executions/*}}"

ROUTES = [
    Route("get_metadata_store", "GET", f"{{name={_STORE}}}", get_metadata_store),
    *(route for kind in KINDS for route in _routes(kind)),
    Route(
        "add_context_artifacts_and_executions",
        "POST",
        f"{_CONTEXT}:addContextArtifactsAndExecutions",
        add_context_artifacts_and_executions,
    ),
    Route("add_context_children", "POST", f"{_CONTEXT}:addContextChildren", add_context_children),
    Route(
        "query_context_lineage_subgraph",
        "GET",
        f"{_CONTEXT}:queryContextLineageSubgraph",
        query_context_lineage_subgraph,
    ),
    Route("add_execution_events", "POST", f"{_EXECUTION}:addExecutionEvents", add_execution_events),
    Route(
        "query_execution_inputs_and_outputs",
        "GET",
        f"{_EXECUTION}:queryExecutionInputsAndOutputs",
        query_execution_inputs_and_outputs,
    ),
]
