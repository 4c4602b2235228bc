from functools import cache
from typing import Any
from zoneinfo import available_timezones

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils.functional import lazy
from django.utils.translation import gettext, gettext_lazy as _

from console.forms.chat.options import OptionsForm
from jobs.models import Density, Theme
from jobs.models.fields.uris import canonical

SHOWN_ZONES = ("Africa", "America", "Asia", "Atlantic", "Australia", "Europe", "Indian", "Pacific")
# What every server takes.
CHAT_DEFAULTS = ("temperature", "top_p", "top_k", "max_tokens")


def zone_choices() -> list[tuple[str, Any]]:
    first: list[tuple[str, Any]] = [("", settings.TIME_ZONE)]
    return first + [("UTC", "UTC")] * (settings.TIME_ZONE != "UTC") + places()


@cache
def places() -> list[tuple[str, list[tuple[str, str]]]]:
    """By continent; the old names beside them would only make the list longer. Each is looked for in a file: once."""
    groups: dict[str, list[tuple[str, str]]] = {name: [] for name in SHOWN_ZONES}
    for zone in sorted(available_timezones()):
        continent, _slash, place = zone.partition("/")
        if place and continent in groups:
            groups[continent].append((zone, place.replace("_", " ").replace("/", ", ")))
    return list(groups.items())


class AppearanceForm(forms.Form):
    use_required_attribute = False
    theme = forms.ChoiceField(label=_("Theme"), choices=Theme.choices, widget=forms.RadioSelect)
    density = forms.ChoiceField(
        label=_("Table density"), choices=Density.choices, widget=forms.RadioSelect,
        help_text=_("Compact shows more rows of a list at once."),
    )  # fmt: skip
    reduces_motion = forms.BooleanField(
        label=_("Reduce motion"),
        required=False,
        widget=forms.CheckboxInput(attrs={"role": "switch"}),
        help_text=_("Turns off animations. Your system's setting always applies too."),
    )
    time_zone = forms.ChoiceField(
        label=_("Time zone"),
        required=False,
        choices=lazy(zone_choices, list)(),
        help_text=_("For exact times. Times such as “3 minutes ago” are the same everywhere."),
    )
    language = forms.ChoiceField(
        label=_("Language"), required=False, choices=[("", _("Same as the browser")), *settings.LANGUAGES]
    )


class DefaultsForm(OptionsForm):
    """`machines`: those that a model of the catalogue is offered on; `output_root`: what is proposed without a wish."""

    output_prefix = forms.CharField(
        label=_("Output directory"),
        required=False,
        max_length=600,
        widget=forms.TextInput(attrs={"spellcheck": "false", "placeholder": "gs://my-bucket/tuning"}),
    )
    machine_type = forms.ChoiceField(
        label=_("Machine for deployments after tuning"),
        required=False,
        help_text=_("Suggested if it's available for the base model. Otherwise, the recommended machine is suggested."),
    )
    field_order = ("output_prefix", "machine_type")

    def __init__(self, *args: Any, machines: list[tuple[str, str]], output_root: str = "", **kwargs: Any) -> None:
        super().__init__(*args, takes=CHAT_DEFAULTS, **kwargs)
        words = gettext("Each new tuned model gets its own suggested folder below this one. If empty: %(bucket)s")
        self.fields["output_prefix"].help_text = words % {"bucket": output_root or "gs://…/tuning"}
        field = self.fields["machine_type"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = [("", _("Recommended for the model")), *machines]

    def clean_output_prefix(self) -> str:
        text: str = self.cleaned_data["output_prefix"].strip().rstrip("/")
        try:
            return text and canonical(text)
        except ValueError as error:
            raise ValidationError(str(error)) from None

    @property
    def own_fields(self) -> list[forms.BoundField]:
        return [self["output_prefix"], self["machine_type"]]

    @property
    def chat_fields(self) -> list[forms.BoundField]:
        return [field for field in self if field.name not in ("output_prefix", "machine_type")]

    def chat(self) -> dict[str, Any]:
        instruction = self.cleaned_data["system_instruction"]
        return {**self.parameters(), **({"system_instruction": instruction} if instruction else {})}


class KeysForm(forms.Form):
    single_keys = forms.BooleanField(
        label=_("Single-key shortcuts"),
        required=False,
        widget=forms.CheckboxInput(attrs={"role": "switch"}),
        help_text=_("Turn off to prevent accidental shortcuts, such as from speech input."),
    )
    enter_sends = forms.BooleanField(
        label=_("Enter sends a message"),
        required=False,
        widget=forms.CheckboxInput(attrs={"role": "switch"}),
        help_text=_("When off, Enter adds a new line, and Ctrl+Enter or ⌘+Enter sends."),
    )
