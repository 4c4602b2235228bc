from collections.abc import Iterable, Sequence
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from console.forms.fields import MultilineField, check_name_length
from jobs.models import Dataset, Endpoint
from jobs.models.fields.names import LONGEST_NAME
from jobs.services.comparisons import policies

LETTERS = "abcd"[: policies.MAX_COLUMNS]
LONGEST_ANSWER = 100_000


class CompareForm(forms.Form):
    """One choice of an endpoint a column; the same endpoint may answer in several, with other parameters."""

    use_required_attribute = False
    key = forms.UUIDField(widget=forms.HiddenInput, error_messages={"required": _("Reload the page and start again.")})
    blind = forms.BooleanField(
        label=_("Blind comparison"),
        required=False,
        help_text=_("Hides the model names and shuffles the columns until you vote."),
    )

    def __init__(self, *args: Any, ready: Iterable[Endpoint], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.ready = {str(endpoint.pk): endpoint for endpoint in ready}
        names = [(pk, endpoint.label) for pk, endpoint in self.ready.items()]
        for place, letter in enumerate(LETTERS):
            is_needed = place < policies.MIN_COLUMNS
            self.fields[letter] = forms.ChoiceField(
                label=_("Column %s") % letter.upper(),
                required=is_needed,
                choices=names if is_needed else [("", _("None")), *names],
                error_messages={
                    "required": _("Choose an endpoint."),
                    "invalid_choice": _("This endpoint is no longer available. Choose another one."),
                },
            )
        self.order_fields(["key", *LETTERS, "blind"])

    @property
    def columns(self) -> list[forms.BoundField]:
        return [self[letter] for letter in LETTERS]

    @property
    def endpoints(self) -> list[Endpoint]:
        chosen = [self.cleaned_data[letter] for letter in LETTERS]
        return [self.ready[pk] for pk in chosen if pk]


class ColumnForm(forms.Form):
    """The endpoint of one column."""

    endpoint = forms.UUIDField()


class BaseForm(forms.Form):
    """A button that compares an endpoint with its base model."""

    key = forms.UUIDField()
    endpoint = forms.UUIDField()


class VoteForm(forms.Form):
    """`winner` empty: none was better."""

    round = forms.IntegerField(min_value=1, max_value=100_000)
    winner = forms.UUIDField(required=False)


class RowForm(forms.Form):
    """An answer as it goes into a dataset: one of `datasets`, or a new one."""

    use_required_attribute = False
    key = forms.UUIDField(widget=forms.HiddenInput, error_messages={"required": _("Reload the page and try again.")})
    text = MultilineField(
        label=_("Answer that a model should learn"),
        max_length=LONGEST_ANSWER,
        strip=False,
        widget=forms.Textarea(attrs={"rows": 8}),
        help_text=_("Edit the answer as needed. The original answer doesn't change."),
        error_messages={
            "required": _("Enter the answer that a model should learn."),
            "max_length": _("An answer has at most %(limit_value)d characters; this one has %(show_value)d."),
        },
    )
    dataset = forms.ChoiceField(
        label=_("Dataset"),
        required=False,
        error_messages={"invalid_choice": _("This row can't be added to this dataset. Choose another one.")},
    )
    name = forms.CharField(
        label=_("Name of the new dataset"),
        required=False,
        widget=forms.TextInput(attrs={"maxlength": LONGEST_NAME}),
        validators=[check_name_length],
    )

    def __init__(self, *args: Any, datasets: Sequence[Dataset], **kwargs: Any) -> None:
        # The page behind the dialog has a text of its own.
        super().__init__(*args, **kwargs | {"auto_id": "row_%s"})
        self.datasets = {str(dataset.pk): dataset for dataset in datasets}
        field = self.fields["dataset"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = [("", _("New dataset")), *((pk, dataset.name) for pk, dataset in self.datasets.items())]

    def clean_dataset(self) -> Dataset | None:
        return self.datasets.get(self.cleaned_data["dataset"])

    def clean_name(self) -> str:
        return " ".join(str(self.cleaned_data["name"]).split())

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = self.cleaned_data
        if cleaned.get("dataset") is None and "name" in cleaned and not cleaned["name"]:
            self.add_error("name", _("Enter a name for the new dataset."))
        return cleaned
