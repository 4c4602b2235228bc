from typing import Any

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import UploadedFile
from django.template.defaultfilters import filesizeformat
from django.utils.translation import gettext_lazy as _


class UploadForm(forms.Form):
    use_required_attribute = False

    file = forms.FileField(
        label=_("JSONL file"),
        error_messages={
            "required": _("Choose a JSONL file first."),
            "missing": _("Choose a JSONL file first."),
            "invalid": _("The file did not arrive. Choose it again and upload once more."),
            "empty": _("The file is empty. Choose a file with one JSON object on each line."),
        },
        widget=forms.FileInput(attrs={"accept": ".jsonl,.ndjson,.json,application/jsonl"}),
    )
    name = forms.CharField(
        label=_("Name"),
        required=False,
        max_length=128,
        help_text=_("Leave it empty to use the file's name."),
        error_messages={"max_length": _("A name has at most 128 characters; this one has %(show_value)d. Shorten it.")},
    )

    def clean_file(self) -> "UploadedFile[bytes]":
        file: Any = self.cleaned_data["file"]
        if file.size > settings.DATASET_MAX_BYTES:
            message = _("The file has %(size)s; at most %(limit)s can be used. Split it or take out rows.")
            limit = filesizeformat(settings.DATASET_MAX_BYTES)
            raise ValidationError(message, params={"size": filesizeformat(file.size), "limit": limit})
        assert isinstance(file, UploadedFile)
        return file
