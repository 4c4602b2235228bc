import uuid
from collections.abc import Callable, Sequence
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import UploadedFile
from django.utils.translation import gettext_lazy as _

from jobs.models import Dataset
from jobs.models.fields.names import LONGEST_NAME
from jobs.services.datasets import spec

from .fields import DisplayNameField, MultilineField, check_name_length, lazy_text, report_problems

ACCEPTED = ".jsonl,.ndjson,.json,.csv,.tsv,.tab,.txt,.zip,application/jsonl,application/json,text/csv,application/zip"
NOWHERE = -1
SIMILARITIES = (
    (0, _("Equal rows only")),
    # xgettext:no-python-format
    (95, _("At least 95% similar")),
    # xgettext:no-python-format
    (90, _("At least 90% similar")),
    # xgettext:no-python-format
    (80, _("At least 80% similar")),
    # xgettext:no-python-format
    (70, _("At least 70% similar")),
)


class UploadForm(forms.Form):
    """`known` is what the person has of this file already. `reading` names the upload in the live stream."""

    use_required_attribute = False
    known: Dataset | None = None

    file = forms.FileField(
        label=_("JSONL, CSV, JSON, or zip file"),
        error_messages={
            "required": _("Choose a file first."),
            "missing": _("Choose a file first."),
            "invalid": _("The upload didn't complete. Choose the file and upload it again."),
            "empty": _("The file is empty. Choose a file with one JSON object per line."),
        },
        widget=forms.FileInput(attrs={"accept": ACCEPTED}),
    )
    name = forms.CharField(
        label=_("Name"),
        required=False,
        help_text=_(
            "Leave it empty to use the file's name. If you already have a dataset with this name, the file becomes"
            " a new version of it."
        ),
        widget=forms.TextInput(attrs={"maxlength": LONGEST_NAME}),
        validators=[check_name_length],
    )
    reading = forms.UUIDField(required=False, initial=uuid.uuid4, widget=forms.HiddenInput)

    def clean_file(self) -> "UploadedFile[bytes]":
        file: Any = self.cleaned_data["file"]
        if reason := spec.why_too_large(file.size):
            raise ValidationError(reason)
        assert isinstance(file, UploadedFile)
        return file


class CloudForm(forms.Form):
    """`why_not`: why a file can't be read, as a sentence, or nothing."""

    use_required_attribute = False

    uri = forms.CharField(
        label=_("File in Cloud Storage"),
        max_length=1024,
        error_messages={
            "required": _("Enter the path of a file, such as gs://my-bucket/data/rows.jsonl."),
            "max_length": _("The path is longer than 700 bytes."),
        },
        widget=forms.TextInput(
            attrs={"autocomplete": "off", "spellcheck": "false", "placeholder": "gs://my-bucket/data/rows.jsonl"}
        ),
    )
    name = UploadForm.declared_fields["name"]

    def __init__(self, *args: Any, why_not: Callable[[str], str] = str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._why_not = why_not

    def clean_uri(self) -> str:
        uri = str(self.cleaned_data["uri"])
        if reason := self._why_not(uri):
            raise ValidationError(reason)
        return uri


class EditForm(forms.Form):
    use_required_attribute = False

    name = DisplayNameField(label=_("Name"))
    description = MultilineField(
        label=_("Description"),
        required=False,
        widget=forms.Textarea(attrs={"rows": 3, "maxlength": spec.LONGEST_DESCRIPTION}),
    )

    def clean(self) -> None:
        report_problems(self, spec.find_problems(self.cleaned_data))


class ColumnsForm(forms.Form):
    """Where in a table the texts stand; without `names` the file is no table and there is nothing to choose."""

    use_required_attribute = False

    prompt = forms.TypedChoiceField(label=_("Prompt"), coerce=int)
    answer = forms.TypedChoiceField(label=_("Answer"), coerce=int)
    system = forms.TypedChoiceField(label=_("System instruction"), coerce=int)
    has_header = forms.BooleanField(label=_("The first row contains the column names"), required=False)

    def __init__(self, *args: Any, names: Sequence[str] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choices = [(number, column_label(number, name)) for number, name in enumerate(names)]
        for name in ("prompt", "answer", "system"):
            if not names:
                del self.fields[name]
                continue
            field = self.fields[name]
            assert isinstance(field, forms.TypedChoiceField)
            field.choices = [(NOWHERE, _("None")), *choices] if name == "system" else choices
            field.error_messages["invalid_choice"] = field.error_messages["required"] = _("Choose one of the columns.")
        if not names:
            del self.fields["has_header"]

    def clean(self) -> None:
        prompt, answer = self.cleaned_data.get("prompt"), self.cleaned_data.get("answer")
        if prompt is not None and prompt == answer:
            self.add_error("answer", _("Choose a different column than the one for the prompt."))


class ConvertForm(ColumnsForm):
    name = DisplayNameField(label=_("Name of the new dataset"))
    leave_out = forms.BooleanField(label=_("Leave out rows that cannot be converted"), required=False)

    field_order = ("prompt", "answer", "system", "has_header", "name", "leave_out")


def column_label(number: int, name: str) -> str:
    return f"{number + 1}: {name}" if name else str(number + 1)


class SplitForm(forms.Form):
    use_required_attribute = False

    share = forms.IntegerField(
        label=_("Validation share, in percent"),
        initial=10,
        min_value=spec.MIN_SHARE,
        max_value=spec.MAX_SHARE,
        help_text=_("10 is typical. The validation data can have at most a quarter of the size of the training data."),
        error_messages=dict.fromkeys(("required", "invalid", "min_value", "max_value"), lazy_text(spec.share_remedy)),
        widget=forms.TextInput(attrs={"inputmode": "numeric", "autocomplete": "off"}),
    )
    seed = forms.IntegerField(
        label=_("Seed"),
        initial=1,
        min_value=0,
        max_value=spec.LARGEST_SEED,
        help_text=_("The same seed produces the same split."),
        error_messages=dict.fromkeys(("required", "invalid", "min_value", "max_value"), lazy_text(spec.seed_remedy)),
        widget=forms.TextInput(attrs={"inputmode": "numeric", "autocomplete": "off"}),
    )


class SearchForm(forms.Form):
    use_required_attribute = False

    similarity = forms.TypedChoiceField(
        label=_("Rows to find"),
        choices=SIMILARITIES,
        coerce=int,
        initial=80,
        help_text=_("A lower value finds more rows, also rows that follow one template and differ in a name."),
        error_messages={"required": _("Choose a similarity."), "invalid_choice": _("Choose a similarity.")},
    )
