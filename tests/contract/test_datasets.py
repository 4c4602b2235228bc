"""A dataset from Cloud Storage, by the services and the storage client that everything uses: each world the same."""

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from jobs.models import DatasetImport, ImportState
from jobs.services.datasets.cloud import imports, source
from jobs.services.datasets.images import sending, uploads
from jobs.vertex import get_gateway
from jobs.vertex.port import Storage
from tests.contract.conftest import BUCKET, World
from tests.fakes import TINY
from tests.support import factories
from tests.support.stored import path_of
from tests.support.zips import lines, make_contents_row, make_row, pack

pytestmark = pytest.mark.django_db
SEES = "samples/shapes@shapes-and-colours"
ROW = json.dumps({"prompt": "Hello?", "completion": "Ahoy! " * 3}).encode() + b"\n"
LONG_ROW = json.dumps({"prompt": "Hello?", "completion": "Ahoy! " * 100_000}).encode() + b"\n"


@pytest.fixture
def storage(world: World, settings: Any) -> Iterator[Storage]:
    """The one that the services use."""
    settings.VERTEX_GATEWAY = "tests.fakes.FakeGateway" if world.name == "fake" else "jobs.vertex.sdk.Gateway"
    get_gateway.cache_clear()
    yield get_gateway().storage
    get_gateway.cache_clear()


def read(owner: User, uri: str) -> DatasetImport:
    row = imports.begin(owner, uri)
    imports.advance(row.pk, timezone.now(), lambda row: None)
    row.refresh_from_db()
    return row


def test_an_object_of_several_pieces(owner: User, storage: Storage, tmp_path: Path) -> None:
    content, uri = LONG_ROW * 8 + ROW * 100, f"{BUCKET}/sets/large.jsonl"
    (tmp_path / "a").write_bytes(content)
    storage.upload(tmp_path / "a", uri)
    row = read(owner, uri)
    assert (row.state, row.error, row.total_bytes, row.done_bytes) == ("READY", "", len(content), len(content))
    dataset = row.dataset
    assert dataset is not None
    assert (dataset.valid_rows, dataset.invalid_rows, dataset.byte_size) == (108, 0, len(content))
    assert path_of(dataset).read_bytes() == content
    assert (dataset.source_uri, source.why_not_at_source(dataset)) == (uri, "")


def test_an_object_that_is_written_anew_is_not_what_was_checked(owner: User, storage: Storage, tmp_path: Path) -> None:
    uri = f"{BUCKET}/sets/twice.jsonl"
    for rows in (1, 2):
        (tmp_path / "a").write_bytes(ROW * rows)
        storage.upload(tmp_path / "a", uri)
        if rows == 1:
            first = read(owner, uri).dataset
    second = read(owner, uri).dataset
    assert first is not None
    assert second is not None
    assert (first.valid_rows, second.valid_rows, second.version) == (1, 2, 2)
    changed = f"{uri}, the source of the dataset twice, changed after it was checked."
    assert (source.why_not_at_source(first), source.why_not_at_source(second)) == (changed, "")
    storage.delete(uri)
    assert source.why_not_at_source(second) == f"{uri}, the source of the dataset twice, is not there any more."


def test_what_is_not_there(owner: User, storage: Storage) -> None:
    storage.ensure_bucket(BUCKET)
    missing = read(owner, f"{BUCKET}/sets/no-such-file.jsonl")
    no_bucket = read(owner, "gs://no-such-bucket-here/a.jsonl")
    assert [row.state for row in (missing, no_bucket)] == [ImportState.FAILED] * 2
    assert missing.error == f"There is no file {missing.uri}. Check the path, or browse for the file."
    assert no_bucket.error == "There is no bucket no-such-bucket-here. Check its name."


def test_images_of_an_upload_are_there_for_a_job(owner: User, world: World, storage: Storage) -> None:
    """In both words for them, and each is sent once."""
    rows = lines(make_row("a.png"), make_contents_row("b.png"))
    images = {"a.png": factories.png("red"), "b.png": factories.png("blue")}
    dataset, _is_known = uploads.create(owner, io.BytesIO(pack({"rows.jsonl": rows, **images})), "set.zip")
    storage.ensure_bucket(BUCKET)
    sent = [sending.send(dataset, lambda: True) for _time in range(2)]
    assert sent == [sending.Sent(2), sending.Sent(0)]
    uri = f"{BUCKET}/datasets/{dataset.pk}.jsonl"
    world.gateway.storage.upload(path_of(dataset), uri)
    if world.name == "google":
        return  # which offers no model here that learns from images
    base = TINY if world.name == "fake" else SEES  # the fake learns nothing from either
    spec = world.spec(base_model=base, training_dataset_uri=uri, validation_dataset_uri="")
    job = world.ended(world.gateway.tuning.create(spec))
    assert (job.error, job.state) == (None, "SUCCEEDED")
