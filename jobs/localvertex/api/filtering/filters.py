"""Google's list conventions: `filter`, `order_by`, pages and `read_mask`."""

import base64
import binascii
import json
import operator
import re
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol, TypeVar, runtime_checkable

from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message as RawMessage
from proto import Message as PlusMessage

from jobs.localvertex.api.errors import invalid
from jobs.localvertex.api.filtering.expressions import Test, parse_expression
from jobs.localvertex.api.filtering.fields import ENUM, FLAG, MANY, NUMBER, TEXT, TIME, Path, resolve_path
from jobs.localvertex.api.wire import Json, descriptor_of, raw, render

Resource = TypeVar("Resource", bound=PlusMessage | RawMessage)
LARGEST_PAGE = 1000
OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
# Where a term may fail and the whole be true.
DOES_NOT_NEED_ALL = re.compile(r"\b(OR|NOT)\b|(^|[\s(])-")
_EMPTY = {TEXT: "", ENUM: "", NUMBER: 0.0, FLAG: "false"}


@runtime_checkable
class Stored(Protocol):
    """A sequence that can choose and order by what is stored, without making messages of it."""

    def choose(self, test: Test, containing: Iterable[str]) -> Sequence[Any]: ...

    def order(self, *keys: tuple[Callable[[Json], Any], bool]) -> Sequence[Any]: ...


def select(kind: type[Resource], resources: Sequence[Resource], expression: str) -> Sequence[Resource]:
    """`labels.key=value`, `labels:key`, `display_name:"my_*"`, `create_time>"2026-05-18T00:00:00Z"`, and so on."""
    if not expression.strip():
        return resources
    needed: list[str] = []

    def compare(name: str, op: str, value: str) -> Test:
        path = resolve_path(kind, name, "filter")
        if op == "=" and path.form in (TEXT, ENUM):
            needed.append(json.dumps(value)[1:-1])
        return _test(path, name, op, value)

    wanted = parse_expression(expression, compare)
    if isinstance(resources, Stored):
        return resources.choose(wanted, [] if DOES_NOT_NEED_ALL.search(expression) else needed)
    return [resource for resource in resources if wanted(render(resource))]


def order_resources(kind: type[Resource], resources: Sequence[Resource], order_by: str) -> Sequence[Resource]:
    """`display_name, create_time desc`: the last key is the least important."""
    keys = []
    for part in [part.split() for part in order_by.split(",") if part.strip()]:
        if len(part) > 2 or (len(part) == 2 and part[1].lower() not in ("asc", "desc")):
            raise invalid(f"Invalid order_by: {order_by!r}. Expected field, or field desc.", "order_by")
        path, down = resolve_path(kind, part[0], "order_by"), len(part) == 2 and part[1].lower() == "desc"
        keys.append((_key(path), down))
    if isinstance(resources, Stored):
        return resources.order(*keys) if keys else resources
    found = list(resources)
    for key, down in reversed(keys):
        found.sort(key=lambda resource: key(render(resource)), reverse=down)  # noqa: B023  # used at once
    return found


def page(resources: Sequence[Resource], size: int, token: str) -> tuple[list[Resource], str]:
    if size < 0:
        raise invalid("page_size must not be negative.", "page_size")
    start = _offset(token)
    end = start + min(size or 100, LARGEST_PAGE)
    following = base64.urlsafe_b64encode(str(end).encode()).decode() if end < len(resources) else ""
    return list(resources[start:end]), following


def apply_mask(kind: type[Resource], resources: Sequence[Resource], mask: FieldMask | None) -> list[Resource]:
    """Only what `read_mask` names; all of it without one."""
    if mask is None or not mask.paths or "*" in mask.paths:
        return list(resources)
    for path in mask.paths:
        if not FieldMask(paths=[path]).IsValidForDescriptor(descriptor_of(kind)):
            raise invalid(f"Unknown field {path!r} of a {kind.__name__}.", "read_mask")
    return [_only(kind, resource, mask) for resource in resources]


def _only(kind: type[Resource], resource: Resource, mask: FieldMask) -> Resource:
    kept: Resource = kind()
    mask.MergeMessage(raw(resource), raw(kept))
    return kept


def _test(path: Path, text: str, op: str, wanted: str) -> Test:
    if op == ":":
        return lambda body: _has(path.value(body), wanted)
    if op not in OPERATORS or path.form == MANY:
        raise invalid(f"Invalid filter expression: {text!r} cannot be compared by {op}.", "filter")
    if path.form == ENUM and wanted not in path.names:
        raise invalid(f"Invalid filter expression: {text!r} is never {wanted!r}.", "filter")
    compare, target = OPERATORS[op], _value(path.form, wanted)
    if target is None:
        raise invalid(f"Invalid filter expression: {wanted!r} is no {path.form} for {text!r}.", "filter")

    def test(body: Any) -> bool:
        actual = _value(path.form, path.value(body))
        return op == "!=" if actual is None else compare(actual, target)

    return test


def _value(form: str, value: Any) -> Any:
    """None for what has no value of this form."""
    if value is None:
        return _EMPTY.get(form)
    text = str(value).lower() if isinstance(value, bool) else str(value)
    if form == TIME:
        return read_time(text)
    if form == NUMBER:
        return float(text) if re.fullmatch(r"-?\d{1,30}(\.\d+)?", text) else None
    if form == FLAG:
        return text.lower() if text.lower() in ("true", "false") else None
    return text


def read_time(text: str) -> datetime | None:
    """In UTC where it names no zone; None for what is no time."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _has(actual: Any, wanted: str) -> bool:
    """A key of a map, an item of a list, or a part of a text, in which `*` stands for anything."""
    if actual is None or wanted == "*":
        return actual is not None
    if isinstance(actual, dict | list):
        return wanted in actual
    return _like(str(actual), wanted) if "*" in wanted else wanted in str(actual)


def _like(text: str, pattern: str) -> bool:
    first, *middle, last = pattern.split("*")
    if not (text.startswith(first) and text.endswith(last)):
        return False
    at = len(first)
    for piece in middle:
        found = text.find(piece, at)
        if found < 0:
            return False
        at = found + len(piece)
    return at + len(last) <= len(text)


def _key(path: Path) -> Callable[[Json], tuple[int, float, str]]:
    """Numbers before texts, what is missing first."""

    def key(body: Json) -> tuple[int, float, str]:
        value = path.value(body)
        if value is None:
            return 0, 0.0, ""
        if path.form == TIME and (moment := read_time(str(value))):
            return 1, moment.timestamp(), ""
        number = _value(NUMBER, value)
        return (2, 0.0, str(value)) if number is None else (1, number, "")

    return key


def _offset(token: str) -> int:
    if not token:
        return 0
    try:
        offset = int(base64.urlsafe_b64decode(token.encode("ascii")))
    except (ValueError, binascii.Error):
        offset = -1
    if offset < 0:
        raise invalid("page_token is not one that this list gave.", "page_token")
    return offset
