from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

MAX_BYTES = 48 * 1024
TYPES = ".json,.yaml,.yml,application/json,application/yaml"


class JobFileForm(forms.Form):
    """Either a file or its text; cleaned to the text."""

    use_required_attribute = False

    file = forms.FileField(
        label=_("JSON or YAML file"),
        required=False,
        error_messages={
            "empty": _("The file is empty. Choose a file that was saved from a tuning job."),
            "invalid": _("The upload didn't complete. Choose the file again."),
        },
        widget=forms.FileInput(attrs={"accept": TYPES}),
    )
    text = forms.CharField(
        label=_("Or paste its text"),
        required=False,
        max_length=MAX_BYTES,
        error_messages={"max_length": _("This is longer than any tuning job. Paste the text of one job.")},
        widget=forms.Textarea(attrs={"rows": 6, "spellcheck": "false", "autocomplete": "off"}),
    )

    @property
    def file_name(self) -> str:
        file = self.cleaned_data.get("file")
        return str(file.name) if file else ""

    def clean_file(self) -> Any:
        file = self.cleaned_data["file"]
        if file and file.size > MAX_BYTES:
            raise ValidationError(_("The file is larger than any tuning job. Choose a file that was saved from one."))
        return file

    def clean(self) -> None:
        if self.errors:
            return
        if file := self.cleaned_data.get("file"):
            self.cleaned_data["text"] = self._decode(file.read())
        if not self.cleaned_data.get("text", "").strip():
            self.add_error("file", _("Choose a file, or paste its text."))

    def _decode(self, data: bytes) -> str:
        try:
            return data.decode("utf-8-sig")
        except UnicodeDecodeError:
            self.add_error("file", _("The file is not text in UTF-8. Choose a file that was saved from a tuning job."))
            return " "
