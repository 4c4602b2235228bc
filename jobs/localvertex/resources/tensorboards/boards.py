"""Making, listing, changing and deleting tensorboards, their experiments, runs and time series."""

from collections.abc import Callable
from functools import partial
from typing import Any, NoReturn

from google.cloud.aiplatform_v1beta1 import types
from google.cloud.aiplatform_v1beta1.types import (
    CreateTensorboardOperationMetadata,
    DeleteOperationMetadata,
    Tensorboard,
    TensorboardRun,
    UpdateTensorboardOperationMetadata,
)
from google.protobuf import empty_pb2

from jobs.localvertex.api.errors import exists, invalid, not_found, precondition
from jobs.localvertex.api.hosts import refuse_global
from jobs.localvertex.api.wire import Operation
from jobs.localvertex.resources.call import Call, Reply, Route, generic, list_page, location_of, now
from jobs.localvertex.resources.edits import check_etag, check_mask, copy_fields, given_fields, has_mask, mask
from jobs.localvertex.resources.tensorboards import of_jobs
from jobs.localvertex.resources.tensorboards.levels import (
    BELOW,
    BOARD,
    EXPERIMENT,
    RUN,
    SERIES,
    Level,
    check,
    check_id,
    level_of,
)
from jobs.localvertex.tuning.queue import new_id

MAX_IN_A_BATCH = 1000


def create(level: Level, call: Call) -> Any:
    wanted = call.resource(level.message, query=() if level is BOARD else (level.id_field,))
    request = call.request(level.request("Create"))
    if level is BOARD:
        refuse_global(request.parent, "Tensorboards are not kept")
    with call.parts.store.transaction():
        made = insert(call, level, request.parent, wanted, getattr(request, level.id_field, ""))
        if level is not BOARD:
            return made
        metadata = CreateTensorboardOperationMetadata(generic_metadata=generic())
        return call.operation(f"{request.parent}/operations/{new_id()}", metadata, made)


def batch_create(level: Level, call: Call) -> Any:
    """All or none, each below the batch's parent."""
    request = call.parse_post(getattr(types, f"BatchCreate{level.message.__name__}{'s' * (level is RUN)}Request"))
    if not 0 < len(request.requests) <= MAX_IN_A_BATCH:
        raise invalid(f"requests must have 1 to {MAX_IN_A_BATCH} entries.", "requests")
    made = []
    with call.parts.store.transaction():
        for number, one in enumerate(request.requests):
            parent = one.parent if level is SERIES else one.parent or request.parent
            if not f"{parent}/".startswith(f"{request.parent}/") or (level is RUN and parent != request.parent):
                raise invalid(f"{parent!r} is not below {request.parent}.", f"requests[{number}].parent")
            made.append(insert(call, level, parent, getattr(one, level.word), getattr(one, level.id_field)))
    return level.reply("BatchCreate")(**{level.plural: made})


def insert(call: Call, level: Level, parent: str, wanted: Any, identifier: str) -> Any:
    fields = (*level.changes, *level.once)
    check(level, wanted, fields)
    identifier = check_id(level, identifier, new_id)
    if level is not BOARD:
        require(call, parent)
    made = level.message(name=f"{parent}/{level.collection}/{identifier}")
    for field in fields:
        setattr(made, field, getattr(wanted, field))
    made.create_time = made.update_time = now()
    if of_jobs.find(call.parts, made.name) is not None:
        raise exists(f"The {level.message.__name__} {made.name}")
    _check_unique(call, level, parent, made)
    if level is BOARD and made.is_default:
        _take_default(call, parent)
    call.parts.store.insert(made)
    if level is BOARD:
        call.parts.ledger.record(f"create_{level.word}", made.name)
    return made


def get(level: Level, call: Call) -> Any:
    return _with_count(call, level, require(call, call.request(level.request("Get")).name))


def list_all(level: Level, call: Call) -> Any:
    request = call.request(level.request("List"))
    if level is BOARD:
        of_job = of_jobs.list_boards(call.parts, request.parent)
    else:
        require(call, request.parent)
        of_job = of_jobs.list_children(call.parts, request.parent)
    stored = call.parts.store.all(level.message, f"{request.parent}/{level.collection}")
    counted = [_with_count(call, level, one) for one in stored]
    found, following = list_page(request, level.message, [*counted, *of_job])
    return level.reply("List")(**{level.plural: found, "next_page_token": following})


def update(level: Level, call: Call) -> Any:
    given = call.resource(level.message, query=("update_mask",))
    paths = (
        mask(call, level.changes) if has_mask(call) else check_mask(given_fields(given, level.changes), level.changes)
    )
    check(level, given, tuple(paths))
    name = call.path[f"{level.word}.name"]
    _refuse_of_job(call, name)
    with call.parts.store.transaction():
        with call.parts.store.edit(level.message, name) as changed:
            check_etag(given.etag, changed)
            copy_fields(given, changed, paths)
            changed.update_time = now()
            if "display_name" in paths:
                _check_unique(call, level, name.rsplit("/", 2)[0], changed)
            if level is BOARD and "is_default" in paths and changed.is_default:
                _take_default(call, location_of(name), but=name)
        if level is not BOARD:
            return changed
        metadata = UpdateTensorboardOperationMetadata(generic_metadata=generic())
        return call.operation(f"{location_of(name)}/operations/{new_id()}", metadata, _with_count(call, level, changed))


def delete(level: Level, call: Call) -> Operation:
    """With everything below it."""
    name = call.request(level.request("Delete")).name
    _refuse_of_job(call, name)
    with call.parts.store.transaction():
        call.parts.store.get(level.message, name)
        call.parts.store.delete_tree(name)
        metadata = DeleteOperationMetadata(generic_metadata=generic())
        return call.operation(f"{location_of(name)}/operations/{new_id()}", metadata, empty_pb2.Empty())


def require(call: Call, name: str) -> Any:
    """What has that name, a client's or a job's. Raises NOT_FOUND."""
    level = level_of(name)
    found = call.parts.store.find(level.message, name) or of_jobs.find(call.parts, name)
    if found is None:
        raise not_found(f"The {level.message.__name__} {name}")
    return found


def _refuse_of_job(call: Call, name: str) -> None:
    if of_jobs.find(call.parts, name) is not None:
        raise precondition(f"{name} belongs to a tuning job, which alone writes it.")


def _check_unique(call: Call, level: Level, parent: str, made: Any) -> None:
    if not level.unique:
        return
    other = call.parts.store.find_display_name(level.message, f"{parent}/{level.collection}", made.display_name)
    of_job = [one.display_name for one in of_jobs.list_children(call.parts, parent)]
    if other not in ("", made.name) or made.display_name in of_job:
        raise exists(f"The {level.message.__name__} with the display name {made.display_name!r} of {parent}")


def _take_default(call: Call, parent: str, but: str = "") -> None:
    """There is one default tensorboard a location at most."""
    for board in call.parts.store.all(Tensorboard, f"{parent}/{BOARD.collection}"):
        if board.is_default and board.name != but:
            with call.parts.store.edit(Tensorboard, board.name) as other:
                other.is_default = False


def _with_count(call: Call, level: Level, found: Any) -> Any:
    if level is BOARD and not found.run_count:
        found.run_count = len(call.parts.store.all(TensorboardRun, found.name))
    return found


_TREE = "projects/*/locations/*"


def _routes(level: Level, parent: str) -> list[Route]:
    name, many = f"{parent}/{level.collection}/*", f"{{parent={parent}}}/{level.collection}"
    calls: list[tuple[str, str, str, Callable[[Level, Call], Reply | NoReturn]]] = [
        (f"create_{level.word}", "POST", many, create),
        (f"list_{level.plural}", "GET", many, list_all),
        (f"get_{level.word}", "GET", f"{{name={name}}}", get),
        (f"update_{level.word}", "PATCH", f"{{{level.word}.name={name}}}", update),
        (f"delete_{level.word}", "DELETE", f"{{name={name}}}", delete),
    ]
    own = [Route(method, verb, path, partial(run, level)) for method, verb, path, run in calls]
    return [*own, *(_routes(BELOW[level.word], name) if level.word in BELOW else [])]


_EXPERIMENT = f"{{parent={_TREE}/tensorboards/*/{EXPERIMENT.collection}/*}}"

ROUTES = [
    *_routes(BOARD, _TREE),
    Route("batch_create_tensorboard_runs", "POST", f"{_EXPERIMENT}/runs:batchCreate", partial(batch_create, RUN)),
    Route("batch_create_tensorboard_time_series", "POST", f"{_EXPERIMENT}:batchCreate", partial(batch_create, SERIES)),
]
