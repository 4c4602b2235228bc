"""What an answer is asked with. An empty field means: as the server does by itself."""

from collections.abc import Iterable, Mapping
from typing import Any

from django import forms
from django.forms import BoundField
from django.utils.translation import gettext_lazy as _

from console.forms.fields import MultilineField, lazy_text
from jobs.models import Conversation
from jobs.services.chat.spec import LONGEST_INSTRUCTION, RANGES, format_remedy, range_remedy, read_schema

from .fields import NumberBox, SchemaField, StopsField, ToolsField

SCHEMA_NAME = "answer"
EXAMPLE = '[{"name": "get_weather", "description": "…", "parameters": {}}]'
PLAIN = ("temperature", "top_p", "top_k", "max_tokens", "stop", "seed", "frequency_penalty", "presence_penalty")
SLIDERS = frozenset({"temperature", "top_p", "max_tokens", "frequency_penalty", "presence_penalty"})


def range_field(name: str, **more: Any) -> forms.FloatField | forms.IntegerField:
    """Of a parameter, in the range that it has in the domain."""
    found = RANGES[name]
    kind: Any = forms.IntegerField if found.is_whole else forms.FloatField
    errors = dict.fromkeys(("invalid", "min_value", "max_value"), lazy_text(lambda: range_remedy(name)))
    field: forms.FloatField | forms.IntegerField = kind(
        required=False, min_value=found.least, max_value=found.most, error_messages=errors, **more
    )
    return field


def _number(name: str, step: str = "1", **more: Any) -> forms.FloatField | forms.IntegerField:
    return range_field(name, widget=NumberBox(attrs={"step": step, "placeholder": _("Default")}), **more)


class OptionsForm(forms.Form):
    """`takes`: the parameters that the endpoint's server takes; the others have no field.

    `is_typing`: it is sent by itself after each change. A schema that is not written yet is then no mistake: the format
    stays as it was saved, and the form `awaits_schema`.
    """

    is_typing = False
    awaits_schema = False
    saved_format: Mapping[str, Any] | None = None
    schema_text: str | None = None
    use_required_attribute = False
    system_instruction = MultilineField(
        label=_("System instructions"),
        required=False,
        max_length=LONGEST_INSTRUCTION,
        widget=forms.Textarea(attrs={"rows": 4}),
    )
    temperature = _number(
        "temperature", "0.05",
        label=_("Temperature"), help_text=_("Lower values are more predictable; higher values are more varied."),
    )  # fmt: skip
    top_p = _number(
        "top_p", "0.01",
        label=_("Top-P"), help_text=_("Considers only the most likely tokens whose probabilities add up to "
                                      "this value."),
    )  # fmt: skip
    top_k = _number(
        "top_k",
        label=_("Top-K"), help_text=_("Considers only this many of the most likely tokens."),
    )  # fmt: skip
    max_tokens = _number(
        "max_tokens",
        label=_("Output token limit"), help_text=_("The maximum number of tokens in an answer."),
    )  # fmt: skip
    stop = StopsField(
        label=_("Stop sequences"),
        help_text=_("An answer ends before one of these. Type one and press Enter; \\n stands for a line break."),
    )
    seed = _number(
        "seed",
        label=_("Seed"), help_text=_("The same seed with the same settings can reproduce an answer."),
    )  # fmt: skip
    frequency_penalty = _number(
        "frequency_penalty", "0.1",
        label=_("Frequency penalty"), help_text=_("Positive values penalize tokens by how often they have appeared."),
    )  # fmt: skip
    presence_penalty = _number(
        "presence_penalty", "0.1",
        label=_("Presence penalty"), help_text=_("Positive values penalize tokens that have already appeared."),
    )  # fmt: skip
    response_format = forms.ChoiceField(
        label=_("Output format"),
        required=False,
        choices=[("", _("Text")), ("json_object", _("JSON")), ("json_schema", _("JSON with a schema"))],
        error_messages={"invalid_choice": lazy_text(format_remedy)},
    )
    schema = SchemaField(
        label=_("JSON schema"),
        help_text=_("The answer follows this schema. In your message, describe what it should contain."),
        widget=forms.Textarea(attrs={"rows": 6, "spellcheck": "false", "autocapitalize": "off", "class": "mono"}),
    )

    tools = ToolsField(
        label=_("Tools"),
        help_text=_("Functions that the model may call, as JSON. You type what they answer."),
        widget=forms.Textarea(
            attrs={"rows": 4, "spellcheck": "false", "autocapitalize": "off", "class": "mono", "placeholder": EXAMPLE}
        ),
    )

    def __init__(self, *args: Any, takes: Iterable[str] | None = None, changed: Iterable[str] = (), **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.changed = frozenset(changed)
        if takes is None:
            return
        for name in {*PLAIN, "response_format", "tools"} - set(takes):
            del self.fields[name]
        if "response_format" not in self.fields:
            del self.fields["schema"]

    @classmethod
    def of(
        cls,
        talk: Conversation,
        takes: Iterable[str],
        data: Any = None,
        *,
        defaults: Mapping[str, float] | None = None,
        is_typing: bool = False,
    ) -> "OptionsForm":
        """With what is saved, or with what was typed. `defaults` are shown in empty fields: the server's own."""
        wanted = talk.parameters.get("response_format") or {}
        initial = {name: talk.parameters[name] for name in PLAIN if name in talk.parameters}
        initial |= {
            "tools": talk.parameters.get("tools", []),
            "system_instruction": talk.system_instruction,
            "response_format": wanted.get("type", ""),
            "schema": wanted.get("json_schema", {}).get("schema") or talk.schema_text,
        }
        form = cls(data, initial=initial, takes=takes, changed=talk.parameters)
        form.is_typing, form.saved_format = is_typing, wanted
        for name, value in (defaults or {}).items():
            if name in form.fields:
                shown = f"{value:g}"
                form.fields[name].widget.attrs |= {"placeholder": _("Default: %s") % shown, "data-default": shown}
        return form

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = self.cleaned_data
        self.schema_text = cleaned.get("schema")
        is_empty = cleaned.get("response_format") == "json_schema" and self.schema_text == ""
        self.awaits_schema = self.is_typing and is_empty
        if self.awaits_schema:
            return cleaned
        if cleaned.get("response_format") == "json_schema" and "schema" in cleaned:
            try:
                cleaned["schema"] = read_schema(cleaned["schema"])
            except ValueError as error:
                empty = _("Enter a schema, or choose another output format.")
                sentence = str(error) if cleaned["schema"] else empty
                self.add_error("schema", forms.ValidationError(sentence, code="invalid"))
        return cleaned

    def parameters(self) -> dict[str, Any]:
        values = {name: self.cleaned_data[name] for name in PLAIN if name in self.fields}
        kept = {name: value for name, value in values.items() if value is not None and value != []}
        if tools := self.cleaned_data.get("tools"):
            kept["tools"] = tools
        kind = self.cleaned_data.get("response_format")
        if self.awaits_schema:
            return kept | ({"response_format": dict(self.saved_format)} if self.saved_format else {})
        if kind == "json_schema":
            inner = {"name": SCHEMA_NAME, "schema": self.cleaned_data["schema"]}
            return kept | {"response_format": {"type": kind, "json_schema": inner}}
        return kept | {"response_format": {"type": kind}} if kind else kept

    @property
    def rows(self) -> list[tuple[BoundField, bool, bool]]:
        """(field, has a slider, is changed) of each that has a value of its own."""
        return [(self[name], name in SLIDERS, name in self.changed) for name in PLAIN if name in self.fields]


class PresetForm(forms.Form):
    use_required_attribute = False
    name = forms.CharField(
        label=_("Name of the preset"),
        max_length=80,
        error_messages={
            "required": _("Enter a name for the preset."),
            "max_length": _("A name has at most %(limit_value)d characters; this one has %(show_value)d. Shorten it."),
        },
    )

    def clean_name(self) -> str:
        return " ".join(str(self.cleaned_data["name"]).split())
