"""What a chat may be set to: the one judge for forms, presets and services."""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from jobs.errors import InvalidValues, Problem
from jobs.text.deferred import gettext as _

from .tools import declarations

LONGEST_INSTRUCTION = 20_000
MAX_STOPS = 5
LONGEST_STOP = 100
LONGEST_SCHEMA = 20_000
LONGEST_TOOLS, read_tools = declarations.LONGEST, declarations.read
JSON_OBJECT, JSON_SCHEMA = "json_object", "json_schema"
DEEPEST_SCHEMA = 20
TYPES = ("object", "array", "string", "number", "integer", "boolean", "null")
LISTS = ("anyOf", "oneOf", "allOf", "prefixItems")
MAPS = ("properties", "$defs", "definitions", "patternProperties")
ONE = ("items", "additionalProperties", "not")


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
        return _("Enter a whole number from %(least)s to %(most)s.") % words
    return _("Enter a number from %(least)s to %(most)s.") % words


def validate(*, system_instruction: str, parameters: Mapping[str, Any]) -> None:
    """Raises InvalidValues with all that is wrong."""
    if problems := find_problems({**parameters, "system_instruction": system_instruction}):
        raise InvalidValues(problems)


def find_problems(values: Mapping[str, Any]) -> list[Problem]:
    """Of the parameters that are set, by name, and of `system_instruction`."""
    return [problem for name, value in values.items() for problem in RULES.get(name, _unknown)(name, value)]


def format_remedy() -> str:
    return _("Choose text, JSON, or JSON with a schema.")


def _check_range(name: str, value: Any) -> Iterator[Problem]:
    if not RANGES[name].has(value):
        yield Problem("out_of_range", name, range_remedy(name))


def _instruction(name: str, text: Any) -> Iterator[Problem]:
    if not isinstance(text, str) or len(text) > LONGEST_INSTRUCTION:
        words = {"most": LONGEST_INSTRUCTION, "length": len(text) if isinstance(text, str) else 0}
        sentence = _("System instructions have at most %(most)d characters; these have %(length)d. Shorten them.")
        yield Problem("max_length", name, sentence % words)


def _stop(name: str, stops: Any) -> Iterator[Problem]:
    if len(stops) > MAX_STOPS:
        yield Problem("too_many", name, _("Use at most %(count)d stop sequences.") % {"count": MAX_STOPS})
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


def _tools(name: str, tools: Any) -> Iterator[Problem]:
    if problem := declarations.why_not(tools):
        yield Problem("invalid", name, problem)


def _unknown(name: str, value: Any) -> Iterator[Problem]:
    yield Problem("unknown", name, _("Unknown parameter: %(name)s.") % {"name": name})


def _plain(number: float) -> str:
    return str(int(number)) if number == int(number) else str(number)


def read_schema(text: str) -> dict[str, Any]:
    """That an answer is to follow, checked as far as it can be without a model. Raises ValueError, whose text
    names what is wrong by its path."""
    try:
        schema = json.loads(text, parse_constant=_no_number)
    except json.JSONDecodeError as error:
        words = {"line": error.lineno, "column": error.colno}
        raise ValueError(_("Invalid JSON at line %(line)d, column %(column)d.") % words) from None
    except (ValueError, RecursionError):
        raise ValueError(_("Invalid JSON: a number isn't allowed, or values are nested too deeply.")) from None
    check_schema(schema)
    return dict(schema)


def check_schema(schema: Any) -> None:
    if not isinstance(schema, dict):
        raise ValueError(_("A schema must be a JSON object, in braces."))
    if not is_storable(schema):
        raise ValueError(_("This contains characters that can't be stored."))
    _check_inside(schema, "", 0)


def _no_number(name: str) -> None:
    raise ValueError(name)


def is_storable(schema: dict[str, Any]) -> bool:
    """No NUL and no half of a surrogate pair, which JSON may hide in an escape; no number that is infinite."""
    try:
        written = json.dumps(schema, ensure_ascii=False, allow_nan=False)
        written.encode()
    except (ValueError, RecursionError):
        return False
    return "\\u0000" not in written


def _check_inside(schema: Any, where: str, depth: int) -> None:
    place = where or _("the schema")
    if isinstance(schema, bool):
        return
    if not isinstance(schema, dict):
        raise ValueError(_("%(place)s must be a schema object.") % {"place": place})
    if depth > DEEPEST_SCHEMA:
        raise ValueError(_("The schema is nested too deeply at %(place)s.") % {"place": place})
    for problem, key in _problems(schema):
        raise ValueError(problem % {"place": f"{where}.{key}".lstrip(".")})
    for path, inner in _inner(schema, where):
        _check_inside(inner, path, depth + 1)


def _problems(schema: dict[str, Any]) -> list[tuple[str, str]]:
    """What is wrong with the keywords themselves, as (sentence, key)."""
    types, enum = schema.get("type", []), schema.get("enum", [0])
    named = types if isinstance(types, list) else [types]
    is_list, is_object = _("%(place)s must be a list that is not empty."), _("%(place)s must be an object.")
    is_type = _("%(place)s must be one of: object, array, string, number, integer, boolean, null.")
    checks = [
        (is_type, "type", all(name in TYPES for name in named)),
        (_("%(place)s must be a list of names."), "required", _names(schema.get("required", []))),
        (is_list, "enum", enum != [] and isinstance(enum, list)),
        (
            _("%(place)s must point into the schema, such as #/$defs/name."),
            "$ref",
            str(schema.get("$ref", "#")).startswith("#"),
        ),
        *((is_list, key, schema[key] != [] and isinstance(schema[key], list)) for key in LISTS if key in schema),
        *((is_object, key, isinstance(schema[key], dict)) for key in MAPS if key in schema),
    ]
    return [(sentence, key) for sentence, key, is_right in checks if not is_right]


def _names(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) for name in value)


def _inner(schema: dict[str, Any], where: str) -> list[tuple[str, Any]]:
    inner = [(key, schema[key]) for key in ONE if key in schema]
    inner += [(f"{key}[{at}]", each) for key in LISTS for at, each in enumerate(schema.get(key, ()))]
    inner += [(f"{key}.{name}", each) for key in MAPS for name, each in schema.get(key, {}).items()]
    return [(f"{where}.{path}".lstrip("."), each) for path, each in inner]


RULES: Mapping[str, Callable[[str, Any], Iterator[Problem]]] = {
    **dict.fromkeys(RANGES, _check_range),
    "system_instruction": _instruction,
    "stop": _stop,
    "response_format": _response_format,
    "tools": _tools,
}
