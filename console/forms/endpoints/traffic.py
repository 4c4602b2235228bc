from collections.abc import Collection, Iterable, Mapping
from typing import Any

from django import forms
from django.utils.translation import gettext, gettext_lazy as _

from console.forms.endpoints.serving_options import ServingOptionsForm
from console.forms.fields import DisplayNameField, lazy_text, report_problems
from jobs.services.endpoints.spec_rules import ALL, find_problems, share_remedy


class ShareField(forms.IntegerField):
    def __init__(self, **kwargs: Any) -> None:
        messages = dict.fromkeys(("required", "invalid", "min_value", "max_value"), lazy_text(share_remedy))
        super().__init__(min_value=0, max_value=ALL, error_messages=messages, **kwargs)


class TrafficSplitForm(forms.Form):
    """A share for each of `models`: (deployed model id, name, share now). One alone has nothing to share."""

    use_required_attribute = False

    def __init__(self, *args: Any, models: Iterable[tuple[str, str, int]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.models = list(models)
        for id_, name, share in self.models if len(self.models) > 1 else ():
            label = gettext("%(name)s, percent") % {"name": name}
            self.fields[f"share-{id_}"] = ShareField(label=label, initial=share)

    def clean(self) -> dict[str, Any] | None:
        values = super().clean() or {}
        if self.fields and not self.errors:
            for problem in find_problems({"traffic_split": self.split}):
                self.add_error(None, problem.sentence)
        return values

    @property
    def split(self) -> dict[str, int]:
        if len(self.models) == 1:
            return {self.models[0][0]: ALL}
        return {id_: self.cleaned_data[f"share-{id_}"] for id_, _name, _share in self.models}


class DeployedModelForm(ServingOptionsForm):
    """`key` is made with the page: the form sent twice is one model. `licences`: to accept, by choice of model."""

    use_required_attribute = False

    key = forms.UUIDField(
        widget=forms.HiddenInput,
        error_messages=dict.fromkeys(("required", "invalid"), _("The form was incomplete. Open the page again.")),
    )
    model = forms.ChoiceField(
        label=_("Model"),
        error_messages=dict.fromkeys(("required", "invalid_choice"), _("Choose a model from the list.")),
    )
    display_name = DisplayNameField(
        label=_("Name"),
        required=False,
        help_text=_("Name on this endpoint. If empty, the model name is used."),
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    share = ShareField(
        label=_("Traffic percentage"),
        help_text=_("The other models keep their proportions. With 0, the model runs but gets no requests."),
    )
    machine = forms.ChoiceField(
        label=_("Machine spec"),
        required=False,
        error_messages={"invalid_choice": _("This machine isn't available. Choose one from the list.")},
    )
    accepts_licence = forms.BooleanField(label=_("I accept the terms of the model's licence"), required=False)

    def __init__(
        self,
        *args: Any,
        models: list[Any],
        machines: Mapping[str, str],
        licences: Mapping[str, str],
        offered: Collection[str] = (),
        **kwargs: Any,
    ) -> None:
        """`offered`: names of options."""
        super().__init__(*args, **kwargs)
        self.keep_offered(offered)
        self.licences = licences
        for name, choices in (("model", models), ("machine", list(machines.items()))):
            field = self.fields[name]
            assert isinstance(field, forms.ChoiceField)
            field.choices = choices
        if not licences:
            del self.fields["accepts_licence"]

    def clean(self) -> dict[str, Any] | None:
        values = super().clean() or {}
        licence = self.licences.get(values.get("model", ""), "")
        if licence and not values.get("accepts_licence"):
            words = gettext("Read and accept the %(licence)s. You can't deploy the model without accepting it.")
            self.add_error("accepts_licence", words % {"licence": licence})
        report_problems(self, find_problems({"spot": False, "shared_address": False} | self.placement))
        return values
