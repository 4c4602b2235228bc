"""Asking for a file of Cloud Storage, and the page that says how far it is."""

import html
import json
import re
from typing import Any
from urllib.parse import urlencode

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from jobs.models import Dataset, DatasetImport, ImportState, StorageListing
from jobs.services.datasets.cloud import imports
from jobs.services.tuning import drafts
from tests.fakes import FakeGateway
from tests.support import factories

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}
URI = "gs://team-data/set/rows.jsonl"
ROWS = (json.dumps({"prompt": "Hello?", "completion": "Ahoy!"}) + "\n").encode() * 12


@pytest.fixture
def visitor(client: Client, owner: User) -> Client:
    client.force_login(owner)
    return client


def words(response: Any) -> str:
    return re.sub(r"[ \n]+", " ", html.unescape(response.content.decode()))


def work(row: DatasetImport) -> None:
    """As the worker does."""
    imports.advance(row.pk, timezone.now(), drafts.choose_imported)


def begin(visitor: Client, **values: str) -> DatasetImport:
    response = visitor.post(reverse("dataset-import-begin"), {"cloud-uri": URI, **values})
    row = DatasetImport.objects.get()
    assert (response.status_code, response["Location"]) == (303, page_of(row))
    return row


def page_of(row: DatasetImport, action: str = "") -> str:
    return reverse(f"dataset-import{action}", args=[row.pk])


def test_from_the_form_to_the_dataset(visitor: Client, fake_gateway: FakeGateway) -> None:
    fake_gateway.storage.objects[URI] = ROWS
    row = begin(visitor, **{"cloud-name": "Hellos"})
    waiting = words(visitor.get(page_of(row)))
    assert f"{URI}</code>" in waiting
    assert ("Waiting for the worker…" in waiting, f'hx-trigger="import-{row.pk} from:body, every 1s"' in waiting) == (
        True,
        True,
    )
    DatasetImport.objects.update(done_bytes=2048, total_bytes=4096, rows=5)
    text = words(visitor.get(page_of(row)))
    assert ("2.0\xa0KB of 4.0\xa0KB read" in text, "5 rows checked" in text) == (True, True)
    assert 'value="50"' in text
    work(row)
    dataset = Dataset.objects.get()
    assert (dataset.name, dataset.valid_rows) == ("Hellos", 12)
    response = visitor.get(page_of(row))
    assert (response.status_code, response["Location"]) == (303, reverse("dataset-detail", args=[dataset.pk]))
    assert URI in words(visitor.get(response["Location"]))


@pytest.mark.parametrize(
    ("uri", "sentence"),
    [
        ("", "Enter the path of a file, such as gs://my-bucket/data/rows.jsonl."),
        ("gs://team-data", "Enter the path of a file, such as gs://my-bucket/data/rows.jsonl."),
        ("rows.jsonl", "starts with gs://"),
        ("gs://team-data/a?b", "The path can't contain any of"),
        ("gs://team-data/" + "a" * 2000, "The path is longer than 700 bytes."),
        ('gs://team-data/<script>alert("1")</script>/', "Enter the path of a file"),
    ],
)
@pytest.mark.parametrize("headers", [{}, HTMX])
def test_a_path_that_is_none(visitor: Client, uri: str, sentence: str, headers: dict[str, str]) -> None:
    response = visitor.post(reverse("dataset-import-begin"), {"cloud-uri": uri}, headers=headers)
    assert (response.status_code, sentence in words(response)) == (422, True)
    assert (DatasetImport.objects.count(), b"<script>alert" in response.content) == (0, False)


def test_what_failed_says_why_and_is_tried_again(visitor: Client, fake_gateway: FakeGateway) -> None:
    fake_gateway.storage.buckets.add("team-data")
    row = begin(visitor)
    work(row)
    said = f"There is no file {URI}. Check the path, or browse for the file."
    assert said in words(visitor.get(page_of(row)))
    assert said in words(visitor.get(reverse("dataset-list")))
    fake_gateway.storage.objects[URI] = ROWS
    assert visitor.post(page_of(row, "-again"))["Location"] == page_of(row)
    work(row)
    row.refresh_from_db()
    assert row.state == ImportState.READY


@pytest.mark.parametrize("part", ["", "train", "validation"])
def test_the_path_that_failed_is_corrected_where_it_was_typed(visitor: Client, draft: Any, part: str) -> None:
    values = {"draft": draft.pk, "part": part} if part else {}
    row = factories.dataset_import(owner=draft.owner, uri=URI, state="FAILED", error="There is no file.", **values)
    (link,) = re.findall(r'href="([^"]+)">Change the path<', words(visitor.get(page_of(row))))
    page, _hash, field = link.partition("#")
    (control,) = re.findall(rf'<input [^>]*id="{field}"[^>]*>', words(visitor.get(page)))
    assert f'value="{URI}"' in control


def test_it_can_be_cancelled_and_begun_again(visitor: Client, fake_gateway: FakeGateway) -> None:
    fake_gateway.storage.objects[URI] = ROWS
    row = begin(visitor)
    assert visitor.post(page_of(row, "-cancel"))["Location"] == reverse("dataset-list")
    work(row)
    assert Dataset.objects.count() == 0
    assert "Cancelled. Nothing was added." in words(visitor.get(page_of(row)))
    visitor.post(page_of(row, "-again"))
    work(row)
    assert Dataset.objects.count() == 1
    assert visitor.post(page_of(row, "-cancel"))["Location"] == page_of(row)


def test_one_too_many_is_refused_in_the_form(visitor: Client, owner: User) -> None:
    for number in range(imports.AT_ONCE):
        imports.begin(owner, f"gs://team-data/{number}.jsonl")
    response = visitor.post(reverse("dataset-import-begin"), {"cloud-uri": URI})
    assert (response.status_code, "3 files are already being read for you" in words(response)) == (422, True)


@pytest.fixture
def draft() -> Any:
    factories.publisher_model()
    done = {
        "name": {"display_name": "Ahoy", "sent": True},
        "base-model": {"base_model": factories.BASE_MODEL, "sent": 1},
        "output": {"output_uri": "gs://garden-local/out/ahoy", "sent": True},
    }
    return factories.draft(data=done)


@pytest.mark.parametrize(
    ("part", "chosen"),
    [("train", {"dataset": True}), ("validation", {"validation_dataset": True, "use_validation": True})],
)
def test_in_the_training_step_it_is_chosen_once_it_is_there(
    visitor: Client, fake_gateway: FakeGateway, draft: Any, part: str, chosen: dict[str, bool]
) -> None:
    fake_gateway.storage.objects[URI] = ROWS
    here = reverse("tuning-draft", args=[draft.pk, "training"])
    assert URI in words(visitor.get(f"{here}?{urlencode({f'{part}-uri': URI})}"))
    response = visitor.post(here, {"action": f"cloud-{part}", f"{part}-uri": URI, "epochs": "7"})
    row = DatasetImport.objects.get()
    assert response["Location"] == page_of(row)
    work(row)
    dataset = Dataset.objects.get()
    expected = {name: str(dataset.pk) if name.endswith("dataset") else True for name in chosen}
    draft.refresh_from_db()
    kept = draft.data["training"]
    assert ({name: kept[name] for name in chosen}, kept["epochs"]) == (expected, "7")
    field = next(iter(chosen))
    assert visitor.get(page_of(row))["Location"] == f"{here}#{field}-report"


def test_what_is_wrong_stands_in_the_training_step(visitor: Client, draft: Any) -> None:
    here = reverse("tuning-draft", args=[draft.pk, "training"])
    response = visitor.post(here, {"action": "cloud-train", "train-uri": "gs://", "epochs": "7"}, headers=HTMX)
    assert (response.status_code, "Enter the name of a bucket after gs://." in words(response)) == (422, True)
    assert response["HX-Reswap"] == "outerMorph show:top showTarget:#add-train"


def make_listing(**values: Any) -> StorageListing:
    defaults = {"owner": factories.owner(), "asked_at": timezone.now(), "fetched_at": timezone.now()}
    return StorageListing.objects.create(**defaults | values)


def test_a_file_is_chosen_in_the_browser(visitor: Client) -> None:
    files = [{"name": name, "size": 9, "updated": None} for name in ("rows.jsonl", "bad#name.jsonl")]
    make_listing(uri="gs://team-data/set", objects_found=files, folders=["more"])
    query = {"into": "dataset", "panel": "open", "cloud-uri": "gs://team-data/set/typed.jsonl"}
    text = words(visitor.get(f"/storage/browse/?{urlencode(query)}", headers=HTMX))
    choice = f"/storage/choose/?{urlencode({'into': 'dataset', 'panel': 1, 'uri': URI})}"
    assert ("Choose a file" in text, choice in text, "bad#name.jsonl" in text) == (True, True, True)
    assert [one in text for one in ("Choose this folder", "New folder name", "bad%23name")] == [False] * 3
    chosen = words(visitor.get(choice, headers=HTMX))
    assert (f'value="{URI}"' in chosen, 'id="id_cloud-uri"' in chosen) == (True, True)
    back = visitor.get(choice.replace("&panel=1", ""))["Location"]
    assert back == f"/datasets/?{urlencode({'cloud-uri': URI})}"
    assert f'value="{URI}"' in words(visitor.get(back))


def test_a_bucket_that_is_typed_is_opened(visitor: Client) -> None:
    make_listing(folders=["team-data"])
    make_listing(uri="gs://other", objects_found=[{"name": "a.jsonl", "size": 9, "updated": None}])
    assert "Open the bucket" in words(visitor.get("/storage/browse/?into=dataset"))
    text = words(visitor.get("/storage/choose/?into=dataset&uri=&name=other"))
    assert "uri=gs%3A%2F%2Fother%2Fa.jsonl" in text


def test_of_a_draft_only_its_owner_browses_for_it(visitor: Client, stranger: User) -> None:
    theirs = factories.draft(owner=stranger)
    query = urlencode({"into": "dataset", "part": "train", "draft": theirs.pk})
    assert visitor.get(f"/storage/browse/?{query}").status_code == 404
