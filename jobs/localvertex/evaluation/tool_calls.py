"""Whether a model called the right tools: its answer, and a reference, as `{"content": …, "tool_calls": […]}`."""

import json
from collections.abc import Callable, Iterator
from typing import Any

from jobs.localvertex.api.errors import invalid
from jobs.localvertex.api.wire import Json

Same = Callable[[Any, Any], bool]


def score_valid(prediction: str) -> float:
    return float(bool(_parse_calls(prediction)))


def score_names(prediction: str, reference: str) -> float:
    said, wanted = _parse_calls(prediction) or [], _read_reference(reference)
    return float(bool(said) and [call["name"] for call in said] == [call["name"] for call in wanted])


def score_keys(prediction: str, reference: str) -> float:
    return _score_parameters(prediction, reference, lambda _said, _wanted: True)


def score_values(prediction: str, reference: str, *, strict: bool = False) -> float:
    """`strict` compares texts sign by sign; otherwise case and the space around them do not matter."""
    return _score_parameters(prediction, reference, _is_equal if strict else _is_alike)


def _score_parameters(prediction: str, reference: str, same: Same) -> float:
    """The share of the reference's parameters that are right, call by call."""
    said, wanted = _parse_calls(prediction) or [], _read_reference(reference)
    right = sum(_count_right(one["arguments"], other["arguments"], same) for one, other in zip(said, wanted))  # noqa: B905
    total = sum(len(call["arguments"]) for call in wanted)
    if total:
        return right / total
    return float(bool(said) and not any(call["arguments"] for call in said))


def _count_right(said: Json, wanted: Json, same: Same) -> int:
    return sum(key in said and same(said[key], value) for key, value in wanted.items())


def _is_equal(said: Any, wanted: Any) -> bool:
    return bool(_render(said) == _render(wanted))


def _is_alike(said: Any, wanted: Any) -> bool:
    return bool(said == wanted) or _render(said).strip().casefold() == _render(wanted).strip().casefold()


def _render(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)


def _read_reference(text: str) -> list[Json]:
    found = _parse_calls(text)
    if found is None:
        message = 'reference must be a JSON object with "tool_calls", a list of calls with "name" and "arguments".'
        raise invalid(message, "instances.reference")
    return found


def _parse_calls(text: str) -> list[Json] | None:
    """None when something of it is no call. Lists and arguments may be written as a text, too."""
    answer = _read(text)
    calls = _read(answer.get("tool_calls")) if isinstance(answer, dict) else None
    if not isinstance(calls, list):
        return None
    found = list(_read_calls(calls))
    return found if len(found) == len(calls) else None


def _read_calls(calls: list[Any]) -> Iterator[Json]:
    for call in calls:
        arguments = _read(call.get("arguments", {})) if isinstance(call, dict) else None
        if isinstance(arguments, dict) and isinstance(call.get("name"), str) and call["name"]:
            yield {"name": call["name"], "arguments": arguments}


def _read(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return None
