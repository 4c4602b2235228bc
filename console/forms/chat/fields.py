"""Stop sequences as lines, and a JSON schema as text."""

import json
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy

from jobs.services.chat.spec import LONGEST_SCHEMA, LONGEST_TOOLS, MAX_STOPS, find_problems, read_tools

ESCAPES = {"\\": "\\", "n": "\n", "t": "\t"}


class StopsInput(forms.TextInput):
    """Those there are, each with a button that takes it out, and a box for one more; several lines are several."""

    template_name = "chat/stops.html"

    def get_context(self, name: str, value: Any, attrs: Any) -> dict[str, Any]:
        stops = [line for line in str(value or "").split("\n") if line]
        context = super().get_context(name, "", attrs)
        context["widget"] |= {"stops": stops, "is_full": len(stops) >= MAX_STOPS}
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
        return "\n".join(escape(stop) for stop in value) if isinstance(value, list) else value

    def clean(self, value: Any) -> Any:
        stops = list(dict.fromkeys(unescape(line) for line in str(super().clean(value)).split("\n") if line))
        for problem in find_problems({"stop": stops}):
            raise ValidationError(problem.sentence, code=problem.code)
        return stops


def escape(stop: str) -> str:
    return stop.replace("\\", "\\\\").replace("\n", "\\n").replace("\t", "\\t")


def unescape(line: str) -> str:
    """A backslash before any other letter is a backslash."""
    text, rest = "", iter(line)
    for letter in rest:
        following = next(rest, "") if letter == "\\" else ""
        text += ESCAPES.get(following, letter + following) if following else letter
    return text


class ToolsField(forms.CharField):
    """Function declarations as JSON; the value is the list that is sent."""

    widget = forms.Textarea

    def __init__(self, **kwargs: Any) -> None:
        too_long = gettext_lazy("The functions have at most %(limit_value)d characters; these have %(show_value)d.")
        super().__init__(required=False, max_length=LONGEST_TOOLS, error_messages={"max_length": too_long}, **kwargs)

    def prepare_value(self, value: Any) -> Any:
        if isinstance(value, list):
            return json.dumps(value, indent=2, ensure_ascii=False) if value else ""
        return value

    def clean(self, value: Any) -> Any:
        try:
            return read_tools(str(super().clean(value)))
        except ValueError as error:
            raise ValidationError(str(error), code="invalid") from None


class SchemaField(forms.CharField):
    """Text, which `schema_of` reads: only where a schema is asked for does a wrong one matter."""

    widget = forms.Textarea

    def __init__(self, **kwargs: Any) -> None:
        too_long = gettext_lazy("A schema has at most %(limit_value)d characters; this one has %(show_value)d.")
        messages = {"max_length": too_long}
        super().__init__(required=False, max_length=LONGEST_SCHEMA, error_messages=messages, **kwargs)

    def prepare_value(self, value: Any) -> Any:
        return json.dumps(value, indent=2, ensure_ascii=False) if isinstance(value, dict) else value
