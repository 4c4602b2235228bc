from typing import Any

from django import forms
from django.contrib.auth.models import User
from django.utils.translation import gettext_lazy as _

from jobs.models.fields.uris import canonical


class SharedFolderForm(forms.Form):
    use_required_attribute = False
    uri = forms.CharField(
        label=_("Folder"),
        max_length=1000,
        help_text=_("Everything in it is shared, now and later: what tuning jobs write there, too."),
        widget=forms.TextInput(
            attrs={
                "autocomplete": "off",
                "spellcheck": "false",
                "inputmode": "url",
                "placeholder": "gs://my-bucket/team",
            }
        ),
        error_messages={"required": _("Write a Cloud Storage folder, such as gs://my-bucket/team.")},
    )
    user = forms.ModelChoiceField(
        label=_("Shared with"),
        queryset=User.objects.none(),
        required=False,
        empty_label=_("Everyone"),
        error_messages={"invalid_choice": _("This person has no account any more. Choose another one.")},
    )
    may_write = forms.BooleanField(
        label=_("Tuning jobs may write to it"), required=False, widget=forms.CheckboxInput(attrs={"role": "switch"})
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["user"]
        assert isinstance(field, forms.ModelChoiceField)
        field.queryset = User.objects.filter(is_active=True).order_by("username")

    def clean_uri(self) -> str:
        try:
            return canonical(self.cleaned_data["uri"])
        except ValueError as error:
            raise forms.ValidationError(str(error)) from None
