from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext, gettext_lazy as _


class DeleteJobsForm(forms.Form):
    """`to_type`: what has to be typed, so that nothing is deleted by habit."""

    use_required_attribute = False

    with_files = forms.BooleanField(label=_("Delete the files in the output directory, too"), required=False)
    with_model = forms.BooleanField(label=_("Delete the model from the model registry, too"), required=False)

    def __init__(self, *args: Any, to_type: str, is_one: bool, may: set[str], **kwargs: Any) -> None:
        """`may`: which of `with_files` and `with_model` may be asked for."""
        super().__init__(*args, **kwargs)
        self.expected = to_type
        for name in {"with_files", "with_model"} - may:
            del self.fields[name]
        label = gettext("Name of the job") if is_one else gettext("Number of jobs")
        self.fields["confirm"] = forms.CharField(
            label=label,
            help_text=gettext("Type %(text)s to delete. This cannot be undone.") % {"text": to_type},
            widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
            error_messages={"required": gettext("Type %(text)s, as it is written here.") % {"text": to_type}},
        )

    def clean_confirm(self) -> str:
        typed: str = self.cleaned_data["confirm"]
        if typed.strip() != self.expected.strip():
            raise ValidationError(_("That is something else. Type it as it is written here."))
        return typed
