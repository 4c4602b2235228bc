"""A value that a dataset may not have gets the same code, field and sentence from its form and from the service."""

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils.datastructures import MultiValueDict

from console.forms.datasets import EditForm, SplitForm, UploadForm
from jobs.errors import DatasetRejected, InvalidValues
from jobs.models import Dataset
from jobs.services.datasets import datasets, derive, spec
from tests.support import factories

pytestmark = pytest.mark.django_db
GOOD = {"name": "Questions", "description": "About ships"}
BAD_TEXTS = [
    ({"name": ""}, "required", "Enter a name."),
    ({"name": "x" * 129}, "max_length", "A name can have at most 128 characters. This one has 129. Shorten it."),
    (
        {"name": "two\nlines"}, "control_characters",
        "A name must be one line of text. Remove line breaks and other control characters.",
    ),
    ({"name": "…"}, "no_letter", "Use at least one letter or digit in the name."),
    (
        {"description": "x" * 1001}, "max_length",
        "A description can have at most 1000 characters. This one has 1001.",
    ),
]  # fmt: skip
SHARE, SEED = "Enter a whole number from 1 to 20.", "Enter a whole number from 0 to 2147483647."
BAD_SPLITS = [
    ({"share": 0}, SHARE), ({"share": 21}, SHARE), ({"seed": -1}, SEED), ({"seed": 2**31}, SEED),
]  # fmt: skip


@pytest.mark.parametrize(("values", "code", "sentence"), BAD_TEXTS)
def test_what_describes_a_dataset(owner, values, code, sentence):
    [field] = values
    dataset = factories.dataset(owner=owner)
    form = EditForm(GOOD | values)
    [error] = form.errors.as_data()[field]
    with pytest.raises(InvalidValues) as refused:
        datasets.describe(dataset, **GOOD | values)
    [problem] = refused.value.problems
    assert (problem.code, problem.field, problem.sentence) == (code, field, sentence)
    assert (error.code, [*form.errors], str(error.message)) == (code, [field], sentence)
    assert Dataset.objects.get().description == ""


@pytest.mark.parametrize(("values", "sentence"), BAD_SPLITS)
def test_how_a_dataset_is_split(owner, values, sentence):
    [field] = values
    asked = {"share": 10, "seed": 1} | values
    with pytest.raises(InvalidValues) as refused:
        derive.split(factories.dataset(owner=owner), **asked)
    assert [(problem.field, problem.sentence) for problem in refused.value.problems] == [(field, sentence)]
    assert {name: list(errors) for name, errors in SplitForm(asked).errors.items()} == {field: [sentence]}
    assert Dataset.objects.count() == 1


def test_how_large_a_file_may_be(owner, settings):
    settings.DATASET_MAX_BYTES = spec.MEGABYTE
    file = SimpleUploadedFile("rows.jsonl", b"x" * (spec.MEGABYTE * 3 // 2))
    sentence = "The file has 1.5 MB. The limit is 1 MB. Split it or remove rows."
    with pytest.raises(DatasetRejected, match=f"^{sentence}$"):
        datasets.create(owner, file=file, file_name="rows.jsonl")
    assert list(UploadForm({}, MultiValueDict({"file": [file]})).errors["file"]) == [sentence]
