from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext, gettext_lazy as _

from jobs.services.catalogue.hub import spec

NO_HINTS = {"autocomplete": "off", "spellcheck": "false", "autocapitalize": "off"}


class TokenForm(forms.Form):
    """What is typed here is never shown again."""

    use_required_attribute = False

    token = forms.CharField(
        label=_("Hugging Face token"),
        required=False,
        max_length=spec.LONGEST_TOKEN,
        help_text=_(
            "Only for gated and private models. A token with read access is enough. It's kept encrypted until the"
            " import ends, and never shown."
        ),
        widget=forms.PasswordInput(attrs={**NO_HINTS, "autocomplete": "new-password"}),
    )

    def clean_token(self) -> str:
        token = str(self.cleaned_data["token"])
        if reason := spec.why_not_token(token):
            raise ValidationError(reason)
        return token


class RemoveForm(forms.Form):
    """The name of the model is typed, so that nothing is removed by habit."""

    use_required_attribute = False

    def __init__(self, *args: Any, name: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.expected = name
        self.fields["confirm"] = forms.CharField(
            label=_("Name of the model"),
            help_text=gettext("To confirm, type %(name)s.") % {"name": name},
            widget=forms.TextInput(attrs=NO_HINTS),
            error_messages={"required": _("Type the name of the model.")},
        )

    def clean_confirm(self) -> str:
        typed = str(self.cleaned_data["confirm"])
        if typed.strip() != self.expected.strip():
            raise ValidationError(_("The name doesn't match. Type it exactly as shown."))
        return typed


class ImportForm(TokenForm):
    source = forms.CharField(
        label=_("Model"),
        max_length=spec.LONGEST_SOURCE,
        help_text=_("Organization/model, the address of its page on Hugging Face, or a path on the server."),
        error_messages={"required": _("Enter the name of a model, such as Qwen/Qwen3-0.6B.")},
        widget=forms.TextInput(attrs={**NO_HINTS, "placeholder": "Qwen/Qwen3-0.6B"}),
    )
    revision = forms.CharField(
        label=_("Revision"),
        required=False,
        max_length=spec.LONGEST_REVISION,
        help_text=_("A branch, a tag, or a commit. Leave it empty for the latest."),
        widget=forms.TextInput(attrs={**NO_HINTS, "placeholder": "main"}),
    )
    field_order = ("source", "revision", "token")

    def clean_source(self) -> str:
        source = str(self.cleaned_data["source"])
        if reason := spec.why_not_source(source):
            raise ValidationError(reason)
        return source
