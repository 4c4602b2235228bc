"""A file of Cloud Storage becomes a dataset, or says why not."""

import io
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from jobs.errors import NotAllowedNow
from jobs.models import Dataset, DatasetImport, ImportState, SharedFolder
from jobs.services.datasets import datasets
from jobs.services.datasets.cloud import imports
from jobs.vertex.errors import NotAuthorised, Unavailable
from tests.fakes import FakeGateway
from tests.support import factories
from tests.support.stored import path_of

pytestmark = pytest.mark.django_db

URI = "gs://team-data/set/rows.jsonl"
ROW = b'{"prompt": "Hello?", "completion": "Ahoy!"}\n'
BAD = b'{"prompt": "Hello?"}\n'


def nothing(_row: DatasetImport) -> None:
    pass


def read(owner: User, uri: str = URI, **values: Any) -> DatasetImport:
    row = imports.begin(owner, uri, **values)
    imports.advance(row.pk, timezone.now(), nothing)
    row.refresh_from_db()
    return row


def get_dataset(row: DatasetImport) -> Dataset:
    assert (row.state, row.error) == (ImportState.READY, "")
    assert row.dataset is not None
    return row.dataset


def test_an_object_is_checked_as_an_upload_is(owner: User, fake_gateway: FakeGateway) -> None:
    content = ROW * 3 + BAD
    fake_gateway.storage.objects[URI] = content
    dataset = get_dataset(read(owner))
    upload = datasets.create(owner, file=io.BytesIO(content), file_name="rows.jsonl", name="Other")
    same = (
        "valid_rows", "invalid_rows", "problems", "preview", "stats", "sha256", "byte_size", "format", "rows_over",
        "token_estimate", "character_count", "file_name", "notes",
    )  # fmt: skip
    assert {name: getattr(dataset, name) for name in same} == {name: getattr(upload, name) for name in same}
    assert path_of(dataset).read_bytes() == content
    assert (dataset.name, dataset.source_uri, dataset.is_read_at_source) == ("rows", URI, True)


def test_blank_lines_are_dropped_from_the_copy_which_is_then_what_jobs_read(
    owner: User, fake_gateway: FakeGateway
) -> None:
    fake_gateway.storage.objects[URI] = ROW + b"\n" + ROW
    dataset = get_dataset(read(owner))
    assert (dataset.valid_rows, dataset.source_uri, dataset.is_read_at_source) == (2, URI, False)
    assert path_of(dataset).read_bytes() == ROW * 2


def test_the_same_object_is_read_once(owner: User, fake_gateway: FakeGateway) -> None:
    fake_gateway.storage.objects[URI] = ROW
    first = get_dataset(read(owner))
    assert get_dataset(read(owner)) == first
    fake_gateway.storage.objects[URI] = ROW * 2
    second = get_dataset(read(owner))
    assert (second.family, second.version, second.valid_rows) == (first.family, 2, 2)


def test_what_is_asked_for_twice_while_it_waits_is_one(owner: User, fake_gateway: FakeGateway) -> None:
    fake_gateway.storage.objects[URI] = ROW
    one, other = imports.begin(owner, URI), imports.begin(owner, URI)
    assert one == other
    for _again in range(2):
        imports.advance(one.pk, timezone.now(), nothing)
    assert Dataset.objects.count() == 1


def refuse(code: str) -> NotAuthorised:
    return NotAuthorised("Access to the bucket team-data is missing. Run: gcloud …", code)


@pytest.mark.parametrize(
    ("prepare", "sentence"),
    [
        (lambda storage: None, f"There is no file {URI}. Check the path, or browse for the file."),
        (lambda storage: storage.buckets.remove("team-data"), "There is no bucket team-data. Check its name."),
        (lambda storage: storage.objects.update({URI: b""}), "The file is empty. Write one JSON object per line."),
        (
            lambda storage: storage.objects.update({URI: bytes(5000)}),
            "The file is not text, or it is in UTF-16. Save it as UTF-8, then try again.",
        ),
        (
            lambda storage: storage.objects.update({URI: ROW * 30_000}),
            "The file has 1.3 MB. The limit is 1 MB. Split it or remove rows.",
        ),
    ],
)
def test_what_cannot_become_a_dataset_says_why(
    owner: User, fake_gateway: FakeGateway, settings: Any, prepare: Callable[[Any], None], sentence: str
) -> None:
    settings.DATASET_CLOUD_MAX_BYTES = 2**20
    fake_gateway.storage.buckets = {"team-data"}
    prepare(fake_gateway.storage)
    row = read(owner)
    assert (row.state, row.error, row.dataset) == (ImportState.FAILED, sentence, None)
    assert list(Dataset.objects.all()) == []


def test_who_lacks_a_right_is_told_the_command(owner: User, fake_gateway: FakeGateway) -> None:
    fake_gateway.storage.objects[URI] = ROW
    fake_gateway.fail("storage.find_object", refuse("PERMISSION_DENIED"))
    row = read(owner)
    assert (row.state, row.error) == (ImportState.FAILED, str(refuse("")))
    assert get_dataset(again(row)).valid_rows == 1


def again(row: DatasetImport) -> DatasetImport:
    begun = imports.begin_again(row)
    imports.advance(begun.pk, timezone.now(), nothing)
    begun.refresh_from_db()
    return begun


def test_an_object_that_is_replaced_on_the_way(owner: User, fake_gateway: FakeGateway) -> None:
    storage, pieces = fake_gateway.storage, iter([{}, {URI: ROW}])
    storage.objects[URI] = json.dumps({"prompt": "p" * 5_000_000, "completion": "c"}).encode()
    fake_gateway.during("storage.read_range", lambda: storage.objects.update(next(pieces, {})))
    row = read(owner)
    sentence = f"{URI} was replaced or deleted while it was read. Try again once nobody writes to it."
    assert (row.state, row.error) == (ImportState.FAILED, sentence)
    assert get_dataset(again(row)).valid_rows == 1


def test_a_broken_connection_is_tried_again_and_no_more_than_that(owner: User, fake_gateway: FakeGateway) -> None:
    fake_gateway.storage.objects[URI] = ROW
    fake_gateway.fail("storage.read_range", Unavailable("Cloud Storage does not answer."), times=2)
    assert get_dataset(read(owner)).valid_rows == 1
    other = "gs://team-data/other.jsonl"
    fake_gateway.storage.objects[other] = ROW
    fake_gateway.fail("storage.read_range", Unavailable("Cloud Storage does not answer."), times=3)
    row = read(owner, other)
    assert (row.state, row.error) == (ImportState.FAILED, "Cloud Storage does not answer.")


def cancel(row: DatasetImport) -> None:
    imports.cancel(row)


def test_what_is_cancelled_leaves_nothing(owner: User, fake_gateway: FakeGateway) -> None:
    fake_gateway.storage.objects[URI] = ROW
    row = imports.begin(owner, URI)
    fake_gateway.during("storage.read_range", lambda: cancel(row))
    imports.advance(row.pk, timezone.now(), nothing)
    row.refresh_from_db()
    assert (row.state, row.dataset, list(Dataset.objects.all())) == (ImportState.CANCELLED, None, [])
    assert not imports.cancel(row)
    fake_gateway.hooks.clear()
    assert get_dataset(again(row)).valid_rows == 1


def test_a_second_worker_takes_over_and_the_first_keeps_nothing(owner: User, fake_gateway: FakeGateway) -> None:
    fake_gateway.storage.objects[URI] = ROW
    row, later = imports.begin(owner, URI), timezone.now() + imports.LEASE + timedelta(seconds=1)
    fake_gateway.during("storage.read_range", lambda: imports.advance(row.pk, later, nothing))
    imports.advance(row.pk, timezone.now(), nothing)
    row.refresh_from_db()
    assert (get_dataset(row), row.tries) == (Dataset.objects.get(), 2)


def test_what_is_cancelled_and_asked_for_again_is_not_the_first_worker_s(
    owner: User, fake_gateway: FakeGateway
) -> None:
    fake_gateway.storage.objects[URI] = ROW
    row = imports.begin(owner, URI, name="First")

    def ask_again() -> None:
        imports.cancel(row)
        fresh = imports.begin(owner, URI, name="Second")
        DatasetImport.objects.filter(pk=fresh.pk).update(tries=1, lease_until=timezone.now() + imports.LEASE)

    fake_gateway.during("storage.read_range", ask_again)
    imports.advance(row.pk, timezone.now(), nothing)
    row.refresh_from_db()
    assert (row.state, row.name, list(Dataset.objects.all())) == (ImportState.WAITING, "Second", [])


def test_what_kills_its_worker_ends(owner: User, fake_gateway: FakeGateway) -> None:
    fake_gateway.storage.objects[URI] = ROW
    row = imports.begin(owner, URI)
    DatasetImport.objects.filter(pk=row.pk).update(tries=imports.TRIES)
    imports.advance(row.pk, timezone.now(), nothing)
    row.refresh_from_db()
    assert row.error == "This was stopped several times before its end. Try it with fewer rows."


def test_how_far_it_is_is_what_was_read_and_it_ends_in_time(owner: User) -> None:
    row, now = imports.begin(owner, URI), [0.0]
    telling = imports.Telling(row, lambda: now[0])
    telling.tell_bytes(100)
    row.refresh_from_db()
    assert (row.done_bytes, row.rows) == (0, 0)
    now[0] = 1.5
    telling.tell_rows(7)
    row.refresh_from_db()
    assert (row.done_bytes, row.rows) == (100, 7)
    now[0] = 3601.0
    with pytest.raises(NotAllowedNow, match="Reading took longer than 60 minutes"):
        telling.tell_bytes(200)


@pytest.mark.parametrize("uri", ["gs://team-data", "gs://team-data/", "gs://team-data/set/"])
def test_a_folder_is_no_file(owner: User, uri: str) -> None:
    assert imports.why_not_import(owner, uri) == "Enter the path of a file, such as gs://my-bucket/data/rows.jsonl."


def test_only_what_a_person_may_read(fake_gateway: FakeGateway, owner: User) -> None:
    mate = factories.team_mate()
    fake_gateway.storage.objects[URI] = ROW
    with pytest.raises(NotAllowedNow, match="You have no access to gs://team-data/set/rows.jsonl"):
        imports.begin(mate, URI)
    folder = SharedFolder.objects.create(uri="gs://team-data/set", user=mate)
    row = imports.begin(mate, URI)
    folder.delete()
    imports.advance(row.pk, timezone.now(), nothing)
    row.refresh_from_db()
    assert row.error.startswith("You have no access to gs://team-data/set/rows.jsonl.")


def test_a_person_waits_for_three_at_most_and_all_together_for_two_at_once(
    owner: User, fake_gateway: FakeGateway
) -> None:
    rows = [imports.begin(owner, f"gs://team-data/{number}.jsonl") for number in range(imports.AT_ONCE)]
    with pytest.raises(NotAllowedNow, match="3 files are already being read for you"):
        imports.begin(owner, URI)
    now = timezone.now()
    DatasetImport.objects.filter(pk__in=[row.pk for row in rows[:2]]).update(lease_until=now + imports.LEASE)
    imports.advance(rows[2].pk, now, nothing)
    rows[2].refresh_from_db()
    assert (rows[2].state, rows[2].tries) == (ImportState.WAITING, 0)


def test_old_ones_are_forgotten(owner: User, fake_gateway: FakeGateway) -> None:
    ended, waiting = read(owner), imports.begin(owner, "gs://team-data/other.jsonl")
    imports.prune(timezone.now() + imports.KEPT + timedelta(seconds=1))
    assert list(DatasetImport.objects.all()) == [waiting] != [ended]
