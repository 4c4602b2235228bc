"""Google's list conventions: `filter`, `order_by` and pages."""

import base64
import binascii
import re
from collections.abc import Sequence
from typing import Any, TypeVar

from google.protobuf.message import Message as RawMessage
from proto import Message as PlusMessage

from jobs.localvertex.errors import invalid
from jobs.localvertex.wire import Json, render

Resource = TypeVar("Resource", bound=PlusMessage | RawMessage)
LARGEST_PAGE = 1000

_TERM = re.compile(r'^(?P<not>NOT\s+|-)?(?P<path>[\w.\-]+)\s*(?P<op>!=|>=|<=|=|:|>|<)\s*(?P<value>"[^"]*"|[^\s"]*)$')


def select(resources: Sequence[Resource], expression: str) -> list[Resource]:
    """Terms joined by AND: `labels.key=value`, `display_name="x"`, `labels.key:*`, `state!=…`."""
    if not expression.strip():
        return list(resources)
    terms = [_term(text) for text in re.split(r"\s+AND\s+", expression.strip())]
    return [resource for resource in resources if all(_matches(render(resource), term) for term in terms)]


def ordered(resources: Sequence[Resource], order_by: str) -> list[Resource]:
    """`display_name, create_time desc`: the last key is the least important."""
    found = list(resources)
    for part in reversed([part.split() for part in order_by.split(",") if part.strip()]):
        if len(part) > 2 or (len(part) == 2 and part[1].lower() not in ("asc", "desc")):
            raise invalid(f"Invalid order_by: {order_by!r}. Expected field, or field desc.", "order_by")
        path, down = part[0], part[-1].lower() == "desc"
        found.sort(key=lambda resource: _sortable(_value(render(resource), path)), reverse=down)
    return found


def page(resources: Sequence[Resource], size: int, token: str) -> tuple[list[Resource], str]:
    if size < 0:
        raise invalid("page_size must not be negative.", "page_size")
    start = _offset(token)
    end = start + min(size or 100, LARGEST_PAGE)
    following = base64.urlsafe_b64encode(str(end).encode()).decode() if end < len(resources) else ""
    return list(resources[start:end]), following


def _sortable(value: Any) -> tuple[int, float, str]:
    """Numbers before texts, what is missing first."""
    if isinstance(value, bool | int | float) or (isinstance(value, str) and value.isdecimal()):
        return 1, float(value), ""
    return (0, 0.0, "") if value is None else (2, 0.0, str(value))


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


def _term(text: str) -> re.Match[str]:
    found = _TERM.match(text.strip())
    if found is None:
        raise invalid(f"Invalid filter expression: {text!r}.", "filter")
    return found


def _matches(body: Json, term: re.Match[str]) -> bool:
    wanted = term["value"].strip('"')
    actual = _value(body, term["path"])
    return _compare(actual, term["op"], wanted) != bool(term["not"])


def _value(body: Any, path: str) -> Any:
    """Labels keep their keys as they are; every other part may be written in snake case."""
    head, _, rest = path.partition(".")
    if not isinstance(body, dict):
        return None
    camel = re.sub(r"_(\w)", lambda found: found[1].upper(), head)
    inner = body.get(head, body.get(camel))
    if head == "labels" and rest:
        return (inner or {}).get(rest)
    return _value(inner, rest) if rest else inner


def _compare(actual: Any, operator: str, wanted: str) -> bool:
    if operator == ":" and wanted == "*":
        return actual is not None
    text = "" if actual is None else str(actual).lower() if isinstance(actual, bool) else str(actual)
    if operator == ":":
        return wanted in (actual if isinstance(actual, dict | list) else text)
    outcomes = {"=": text == wanted, "!=": text != wanted, ">": text > wanted, "<": text < wanted}
    return outcomes.get(operator, text == wanted or (text > wanted if operator == ">=" else text < wanted))
