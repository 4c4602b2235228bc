"""Requests that are wrong by the descriptors alone: a required field is missing, a type or an enum does not fit, or
two of a kind exclude each other. Whatever the call, the answer must be 400."""

import copy
import random
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from google.protobuf.descriptor import FieldDescriptor

from jobs.localvertex.api.behaviours import ALSO_EMPTY, is_required
from jobs.localvertex.grpc_api.methods import body_of
from jobs.localvertex.resources.call import Route
from tests.jobs.localvertex.alone.messages import FREE, Path, is_message, paths, request_of, spell, value_of, with_field
from tests.jobs.localvertex.alone.probes import CALLS, WITHOUT_MESSAGE

Body = dict[str, Any]
_ANYTHING = ("google.protobuf.Value", "google.protobuf.Any")
_WHOLE = {
    FieldDescriptor.CPPTYPE_INT32: 2**31,
    FieldDescriptor.CPPTYPE_UINT32: -1,
    FieldDescriptor.CPPTYPE_INT64: 2**63,
    FieldDescriptor.CPPTYPE_UINT64: -1,
}
_REAL = (FieldDescriptor.CPPTYPE_DOUBLE, FieldDescriptor.CPPTYPE_FLOAT)


@dataclass(frozen=True)
class Broken:
    body: Body
    why: str


def broken_requests(dice: random.Random, route: Route, seed: Body, count: int) -> Iterator[Broken]:
    choices = _choices(route)
    for _ in range(count):
        yield _break(dice, route, copy.deepcopy(seed), dice.choice(choices))


def _can_break(path: Path, route: Route) -> bool:
    in_query = is_in_query(path, route)
    is_open = not in_query and is_message(path[-1])
    return is_open or _is_missed(path, route) or bool(wrong_values(path[-1], in_query=in_query))


def can_be_broken(method: str) -> bool:
    """Not a call whose request says nothing but a name."""
    return method not in WITHOUT_MESSAGE and bool(_choices(CALLS[method]))


@cache
def _choices(route: Route) -> list[Path]:
    return [
        path
        for path in paths(request_of(route.method))
        if f"{{{spell(path)}=" not in route.path and not _is_on_the_way(path, route) and _can_break(path, route)
    ]


def _break(dice: random.Random, route: Route, seed: Body, path: Path) -> Broken:
    found, field = path[-1], spell(path)
    in_query = is_in_query(path, route)
    ways = [("type", value) for value in wrong_values(found, in_query=in_query)]
    if _is_missed(path, route):
        ways.append(("missing", None))
    if not in_query and is_message(found):
        ways.append(("unknown", None))
    kind, value = dice.choice(ways)
    if kind == "type":
        return Broken(with_field(seed, path, value), f"{field} is {value!r}")
    whole = with_field(seed, path, value_of(found, path[:-1]))
    if kind == "missing":
        return Broken(_without(whole, path), f"{field} is missing")
    inside = _inside(whole, path)
    inside["shoes"] = 1
    return Broken(whole, f"{field} has shoes")


def wrong_values(found: FieldDescriptor, *, in_query: bool = False) -> list[Any]:
    """Of no form in which Google reads the field."""
    kind = found.message_type
    if kind and kind.full_name in _ANYTHING:
        return []
    if in_query:
        return [] if kind or not (texts := _wrong_texts(found)) else texts
    if kind and kind.GetOptions().map_entry:
        return ["text", 5, *({"a": one} for one in wrong_values(kind.fields_by_name["value"]))]
    single = _wrong_singles(found)
    if kind and kind.full_name == "google.protobuf.ListValue":
        return single
    return [[one] for one in single] if found.is_repeated else [*single, [[]]]


def _wrong_singles(found: FieldDescriptor) -> list[Any]:
    kind = found.message_type
    if kind:
        return [5, True] if kind.full_name in FREE else [5, True, "text"]
    if found.enum_type:
        return ["NO_SUCH_NAME", 99999, {}, 1.5]
    if found.cpp_type in _WHOLE:
        return ["abc", 1.5, {}, _WHOLE[found.cpp_type]]
    if found.cpp_type in _REAL:
        return ["abc", {}]
    if found.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
        return ["maybe", 5, {}]
    return [{}] if found.type == FieldDescriptor.TYPE_BYTES else [5, True, {}]


def _wrong_texts(found: FieldDescriptor) -> list[str]:
    if found.enum_type:
        return ["NO_SUCH_NAME", "99999"]
    if found.cpp_type in _WHOLE or found.cpp_type in _REAL:
        return ["abc"]
    return ["maybe"] if found.cpp_type == FieldDescriptor.CPPTYPE_BOOL else []


def is_in_query(path: Path, route: Route) -> bool:
    body = body_of(route)
    return body != "*" and path[0].name != body


def _is_missed(path: Path, route: Route) -> bool:
    """A number that is missing is zero. Of a resource, a patch says only what changes."""
    found = path[-1]
    is_number = not (found.is_repeated or found.message_type or found.enum_type) and found.cpp_type not in (
        FieldDescriptor.CPPTYPE_STRING,
    )
    is_changed = "." in route.path.partition("{")[2].partition("=")[0] and len(path) <= 2
    is_known = f"{found.containing_type.name}.{found.name}" in ALSO_EMPTY
    return is_required(found) and not (is_number or is_changed or is_known)


def _is_on_the_way(path: Path, route: Route) -> bool:
    """`endpoint` of a PATCH, whose name is in the path: it cannot be left out or replaced."""
    return f"{{{spell(path)}." in route.path


def _without(body: Body, path: Path) -> Body:
    rest = _inside(body, path[:-1]) if len(path) > 1 else body
    rest.pop(path[-1].json_name, None)
    return body


def _inside(body: Any, path: Path) -> Any:
    for found in path:
        body = body[found.json_name]
        body = body[0] if isinstance(body, list) else body
    return body
