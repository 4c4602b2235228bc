"""Pages while the store of files does not answer: 503 with a sentence, and what was typed comes back."""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.http import FileResponse
from django.test import Client
from django.utils import timezone

from jobs.models import Dataset, Picture, ProbeResult
from tests.support import factories
from tests.support.localservers import free_port
from tests.support.stores import KEYS, LONG, s3_store, use

pytestmark = pytest.mark.django_db
AWAY = "The file store does not answer. Try again in a moment."
ROWS = b'{"prompt": "Hello?", "completion": "Ahoy!"}\n'


@pytest.fixture(scope="module")
def s3_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with s3_store(tmp_path_factory.mktemp("s3")) as url:
        yield url


@pytest.fixture
def visitor(client: Client, owner: User) -> Client:
    client.force_login(owner)
    return client


@pytest.fixture
def away(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    use(settings, f"s3://console-files/some?endpoint_url=http://127.0.0.1:{free_port()}")


@pytest.mark.parametrize("part", ["rows/", "file/", "problems.jsonl", "rows/1.json"])
def test_a_dataset_cannot_be_read(visitor: Client, away: None, part: str) -> None:
    dataset = factories.dataset()
    response = visitor.get(f"/datasets/{dataset.pk}/{part}")
    assert (response.status_code, response["Retry-After"], AWAY in response.content.decode()) == (503, "10", True)
    assert visitor.get(f"/datasets/{dataset.pk}/").status_code == 200


def test_the_status_page_names_the_store_and_what_stops_without_it(visitor: Client, away: None) -> None:
    ProbeResult.objects.create(
        name="files", state="failed", detail=AWAY, checked_at=timezone.now(),
        facts={"place": "s3://console-files/some", "steps": [{"name": "write", "state": "failed"}]},
    )  # fmt: skip
    shown = visitor.get("/settings/").content.decode()
    expected = ("File store", AWAY, "s3://console-files/some", "Datasets and chat images can&#x27;t be opened")
    assert [text for text in expected if text not in shown] == []


def test_an_upload_is_refused_and_leaves_no_row(visitor: Client, away: None) -> None:
    form = {"file": SimpleUploadedFile("rows.jsonl", ROWS), "name": "Greetings"}
    response = visitor.post("/datasets/upload/", form)
    content = response.content.decode()
    assert (response.status_code, AWAY in content, "Greetings" in content) == (503, True, True)
    assert Dataset.objects.count() == 0


def test_a_picture_is_refused_and_none_is_shown(visitor: Client, away: None) -> None:
    picture = factories.picture()
    assert visitor.get(f"/studio/chat/pictures/{picture.pk}/").status_code == 503
    response = visitor.post("/studio/chat/pictures/", {"file": SimpleUploadedFile("a.png", factories.png())})
    assert (response.status_code, Picture.objects.count()) == (503, 1)


def test_a_file_that_is_gone_is_said_where_its_problems_are_asked_for(visitor: Client) -> None:
    dataset = Dataset.objects.create(
        owner=factories.owner(), name="Lost", file_name="a.jsonl", byte_size=1, sha256=uuid4().hex
    )
    response = visitor.get(f"/datasets/{dataset.pk}/problems.jsonl")
    assert response.status_code == 409
    assert (
        "The file of the dataset Lost is missing from this server. Upload the file again." in response.content.decode()
    )


def test_a_download_from_a_store_says_how_long_it_is(
    visitor: Client, settings: Any, monkeypatch: pytest.MonkeyPatch, s3_url: str
) -> None:
    dataset = factories.dataset()
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    use(settings, s3_url, LONG)
    visitor.post("/datasets/upload/", {"file": SimpleUploadedFile("rows.jsonl", ROWS), "name": "Greetings"})
    made = Dataset.objects.exclude(pk=dataset.pk).get()
    response = visitor.get(f"/datasets/{made.pk}/file/")
    assert isinstance(response, FileResponse)
    assert (response["Content-Length"], b"".join(response.streaming_content)) == (str(len(ROWS)), ROWS)
    assert response["Content-Disposition"] == 'attachment; filename="rows.jsonl"'
