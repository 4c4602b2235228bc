import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils.datastructures import MultiValueDict

from console.forms.datasets import UploadForm


def errors(content=b"{}", **values):
    file = None if content is None else SimpleUploadedFile("a.jsonl", content)
    form = UploadForm(values, MultiValueDict({} if file is None else {"file": [file]}))
    return {name: list(messages) for name, messages in form.errors.items()}


def test_a_file_and_no_name_is_enough():
    assert errors() == {}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "Choose a file first."),
        (b"", "The file is empty. Choose a file with one JSON object per line."),
    ],
)
def test_a_wrong_file_gets_its_message(content, message):
    assert errors(content) == {"file": [message]}


def test_a_file_over_the_limit_says_how_large_it_may_be(settings):
    settings.DATASET_MAX_BYTES = 1024 * 1024
    message = "The file has 1.5 MB. The limit is 1 MB. Split it or remove rows."
    assert errors(b"x" * 1536 * 1024) == {"file": [message]}


def test_a_long_name_says_how_long_it_is():
    message = "A name can have at most 128 characters. This one has 129. Shorten it."
    assert errors(name="x" * 129) == {"name": [message]}
