"""A JSON schema that an answer is to follow, checked as far as it can be without a model: what is wrong is named by its
path. Whatever is raised is a ValueError whose text is a sentence for the person."""

import json
from typing import Any

from .deferred import gettext as _

DEEPEST_SCHEMA = 20
TYPES = ("object", "array", "string", "number", "integer", "boolean", "null")
LISTS = ("anyOf", "oneOf", "allOf", "prefixItems")
MAPS = ("properties", "$defs", "definitions", "patternProperties")
ONE = ("items", "additionalProperties", "not")


def read_schema(text: str) -> dict[str, Any]:
    try:
        schema = json.loads(text, parse_constant=_no_number)
    except json.JSONDecodeError as error:
        words = {"line": error.lineno, "column": error.colno}
        raise ValueError(_("This is not JSON: look at line %(line)d, column %(column)d.") % words) from None
    except (ValueError, RecursionError):
        raise ValueError(_("This is not JSON that every reader understands.")) from None
    check_schema(schema)
    return dict(schema)


def check_schema(schema: Any) -> None:
    if not isinstance(schema, dict):
        raise ValueError(_("A schema is an object, in braces."))
    if not is_storable(schema):
        raise ValueError(_("This holds characters that cannot be kept."))
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
        raise ValueError(_("%(place)s must be a schema, which is an object.") % {"place": place})
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
