"""A file of Cloud Storage on its way to a dataset."""

from collections.abc import Mapping
from functools import partial
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.contrib.auth.models import User
from django.urls import reverse

from console.forms.datasets import CloudForm
from jobs import tasks
from jobs.errors import NotAllowedNow
from jobs.models import DatasetImport, DatasetPart, TuningDraft
from jobs.services.datasets.cloud import imports

# What the names of the fields begin with where it is for no part of a training.
ANY = "cloud"


def cloud_form(user: User, data: Mapping[str, Any] | None = None, prefix: str = ANY, uri: str = "") -> CloudForm:
    return CloudForm(data, prefix=prefix, initial={"uri": uri}, why_not=partial(imports.why_not_import, user))


def begin_import(user: User, form: CloudForm, draft: UUID | None = None, part: str = "") -> DatasetImport | None:
    """None with the reason in the form."""
    if not form.is_valid():
        return None
    values = form.cleaned_data
    try:
        row = imports.begin(user, values["uri"], name=values["name"], draft=draft, part=part)
    except NotAllowedNow as error:
        form.add_error("uri", str(error))
        return None
    enqueue(row)
    return row


def enqueue(row: DatasetImport) -> None:
    tasks.enqueue_after_commit(tasks.import_dataset, import_id=str(row.pk))


def back_of(row: DatasetImport) -> str:
    """The page that asked for it: the training step of its draft, while that is one."""
    if row.draft and TuningDraft.objects.visible_to(row.owner).open().filter(pk=row.draft).exists():
        return reverse("tuning-draft", args=[row.draft, "training"])
    return reverse("dataset-list")


def change_of(row: DatasetImport) -> str:
    """The field of the page that asked for it, with what was typed there."""
    field = f"{row.part or ANY}-uri"
    return f"{back_of(row)}?{urlencode({field: row.uri})}#id_{field}"


def result_of(row: DatasetImport) -> str:
    """Where the dataset that came of it is used or shown."""
    back = back_of(row)
    if back != reverse("dataset-list"):
        field = "validation_dataset" if row.part == DatasetPart.VALIDATION else "dataset"
        return f"{back}#{field}-report"
    return reverse("dataset-detail", args=[row.dataset_id])
