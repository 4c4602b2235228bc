"""What a chat may be set to: the one judge for forms, presets and services."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from jobs.errors import InvalidValues, Problem
from jobs.text.deferred import gettext as _
from jobs.text.json_schema import check_schema

LONGEST_INSTRUCTION = 20_000
MAX_STOPS = 5
LONGEST_STOP = 100
LONGEST_SCHEMA = 20_000
JSON_OBJECT, JSON_SCHEMA = "json_object", "json_schema"


class Range(NamedTuple):
    """Both ends belong to it."""

    least: float
    most: float
    is_whole: bool = False

    def has(self, value: Any) -> bool:
        kinds = (int,) if self.is_whole else (int, float)
        return isinstance(value, kinds) and not isinstance(value, bool) and self.least <= value <= self.most


RANGES: Mapping[str, Range] = {
    "temperature": Range(0, 2),
    "top_p": Range(0.01, 1),
    "top_k": Range(1, 1000, is_whole=True),
    "max_tokens": Range(1, 8192, is_whole=True),
    "seed": Range(0, 2**31 - 1, is_whole=True),
    "frequency_penalty": Range(-2, 2),
    "presence_penalty": Range(-2, 2),
}


def range_remedy(name: str) -> str:
    found = RANGES[name]
    words = {"least": _plain(found.least), "most": _plain(found.most)}
    if found.is_whole:
        return _("Write a whole number from %(least)s to %(most)s.") % words
    return _("Write a number from %(least)s to %(most)s.") % words


def validate(*, system_instruction: str, parameters: Mapping[str, Any]) -> None:
    """Raises InvalidValues with all that is wrong."""
    if problems := find_problems({**parameters, "system_instruction": system_instruction}):
        raise InvalidValues(problems)


def find_problems(values: Mapping[str, Any]) -> list[Problem]:
    """Of the parameters that are set, by name, and of `system_instruction`."""
    return [problem for name, value in values.items() for problem in RULES.get(name, _unknown)(name, value)]


def format_remedy() -> str:
    return _("Choose text, JSON or JSON by a schema.")


def _ranged(name: str, value: Any) -> Iterator[Problem]:
    if not RANGES[name].has(value):
        yield Problem("out_of_range", name, range_remedy(name))


def _instruction(name: str, text: Any) -> Iterator[Problem]:
    if not isinstance(text, str) or len(text) > LONGEST_INSTRUCTION:
        words = {"most": LONGEST_INSTRUCTION, "length": len(text) if isinstance(text, str) else 0}
        sentence = _("System instructions have at most %(most)d characters; these have %(length)d. Shorten them.")
        yield Problem("max_length", name, sentence % words)


def _stop(name: str, stops: Any) -> Iterator[Problem]:
    if len(stops) > MAX_STOPS:
        yield Problem("too_many", name, _("At most %(count)d stop sequences are taken.") % {"count": MAX_STOPS})
    elif any(len(stop) > LONGEST_STOP for stop in stops):
        sentence = _("A stop sequence has at most %(count)d characters.") % {"count": LONGEST_STOP}
        yield Problem("max_length", name, sentence)


def _response_format(name: str, wanted: Any) -> Iterator[Problem]:
    kind = wanted.get("type") if isinstance(wanted, Mapping) else None
    if kind not in (JSON_OBJECT, JSON_SCHEMA):
        yield Problem("invalid_choice", name, format_remedy())
    elif kind == JSON_SCHEMA:
        try:
            check_schema((wanted.get("json_schema") or {}).get("schema"))
        except ValueError as error:
            yield Problem("invalid", "schema", str(error))


def _unknown(name: str, value: Any) -> Iterator[Problem]:
    yield Problem("unknown", name, _("There is no parameter %(name)s.") % {"name": name})


def _plain(number: float) -> str:
    return str(int(number)) if number == int(number) else str(number)


RULES: Mapping[str, Callable[[str, Any], Iterator[Problem]]] = {
    **dict.fromkeys(RANGES, _ranged),
    "system_instruction": _instruction,
    "stop": _stop,
    "response_format": _response_format,
}
