"""Stop sequences as lines, and a JSON schema as text."""

import json
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _, gettext_lazy

MOST_STOPS = 5
LONGEST_STOP = 100
LONGEST_SCHEMA = 20_000
DEEPEST_SCHEMA = 20
TYPES = ("object", "array", "string", "number", "integer", "boolean", "null")
LISTS = ("anyOf", "oneOf", "allOf", "prefixItems")
MAPS = ("properties", "$defs", "definitions", "patternProperties")
ONE = ("items", "additionalProperties", "not")
ESCAPES = {"\\": "\\", "n": "\n", "t": "\t"}


class StopsInput(forms.TextInput):
    """Those there are, each with a button that takes it out, and a box for one more; several lines are several."""

    template_name = "chat/stops.html"

    def get_context(self, name: str, value: Any, attrs: Any) -> dict[str, Any]:
        stops = [line for line in str(value or "").split("\n") if line]
        context = super().get_context(name, "", attrs)
        context["widget"] |= {"stops": stops, "is_full": len(stops) >= MOST_STOPS}
        return context

    def value_from_datadict(self, data: Any, files: Any, name: str) -> str:
        values = data.getlist(name) if hasattr(data, "getlist") else [data.get(name) or ""]
        lines = [line for value in values for line in value.replace("\r\n", "\n").split("\n") if line]
        removed = data.get(f"{name}-remove")
        return "\n".join(line for line in lines if line != removed)

    def value_omitted_from_data(self, data: Any, files: Any, name: str) -> bool:
        return False


class NumberBox(forms.NumberInput):
    """Always with a `value`, since a morph empties a box only when that attribute changes."""

    def format_value(self, value: Any) -> str:
        return super().format_value(value) or ""


class StopsField(forms.CharField):
    """Spaces count; `\\n`, `\\t` and `\\\\` stand for a line break, a tab and a backslash."""

    widget = StopsInput

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(strip=False, required=False, **kwargs)

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(escaped(stop) for stop in value) if isinstance(value, list) else value

    def clean(self, value: Any) -> Any:
        stops = list(dict.fromkeys(unescaped(line) for line in str(super().clean(value)).split("\n") if line))
        if len(stops) > MOST_STOPS:
            raise ValidationError(_("At most %(count)d stop sequences are taken.") % {"count": MOST_STOPS})
        if any(len(stop) > LONGEST_STOP for stop in stops):
            raise ValidationError(_("A stop sequence has at most %(count)d characters.") % {"count": LONGEST_STOP})
        return stops


def escaped(stop: str) -> str:
    return stop.replace("\\", "\\\\").replace("\n", "\\n").replace("\t", "\\t")


def unescaped(line: str) -> str:
    """A backslash before any other letter is a backslash."""
    text, rest = "", iter(line)
    for letter in rest:
        following = next(rest, "") if letter == "\\" else ""
        text += ESCAPES.get(following, letter + following) if following else letter
    return text


class SchemaField(forms.CharField):
    """Text, which `schema_of` reads: only where a schema is asked for does a wrong one matter."""

    widget = forms.Textarea

    def __init__(self, **kwargs: Any) -> None:
        too_long = gettext_lazy("A schema has at most %(limit_value)d characters; this one has %(show_value)d.")
        messages = {"max_length": too_long}
        super().__init__(required=False, max_length=LONGEST_SCHEMA, error_messages=messages, **kwargs)

    def prepare_value(self, value: Any) -> Any:
        return json.dumps(value, indent=2, ensure_ascii=False) if isinstance(value, dict) else value


def schema_of(text: str) -> dict[str, Any]:
    """Checked as far as it can be without a model: what is wrong is named by its path."""
    try:
        schema = json.loads(text, parse_constant=_no_number)
    except json.JSONDecodeError as error:
        words = {"line": error.lineno, "column": error.colno}
        raise ValidationError(_("This is not JSON: look at line %(line)d, column %(column)d.") % words) from None
    except (ValueError, RecursionError):
        raise ValidationError(_("This is not JSON that every reader understands.")) from None
    if not isinstance(schema, dict):
        raise ValidationError(_("A schema is an object, in braces."))
    if not storable(schema):
        raise ValidationError(_("This holds characters that cannot be kept."))
    check_schema(schema, "", 0)
    return schema


def _no_number(name: str) -> None:
    raise ValueError(name)


def storable(schema: dict[str, Any]) -> bool:
    """No NUL and no half of a surrogate pair, which JSON may hide in an escape; no number that is infinite."""
    try:
        written = json.dumps(schema, ensure_ascii=False, allow_nan=False)
        written.encode()
    except (ValueError, RecursionError):
        return False
    return "\\u0000" not in written


def check_schema(schema: Any, where: str, depth: int) -> None:
    place = where or _("the schema")
    if isinstance(schema, bool):
        return
    if not isinstance(schema, dict):
        raise ValidationError(_("%(place)s must be a schema, which is an object.") % {"place": place})
    if depth > DEEPEST_SCHEMA:
        raise ValidationError(_("The schema is nested too deeply at %(place)s.") % {"place": place})
    for problem, key in _problems(schema):
        raise ValidationError(problem % {"place": f"{where}.{key}".lstrip(".")})
    for path, inner in _inner(schema, where):
        check_schema(inner, path, depth + 1)


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
