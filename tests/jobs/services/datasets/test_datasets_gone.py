"""A dataset whose copy in `gs://` or whose own file is gone: the next job sends it again, or the same file heals it."""

import io
import json
from datetime import timedelta
from uuid import uuid4

import pytest

from jobs.models import Dataset
from jobs.services.datasets import datasets
from jobs.services.tuning import jobs
from jobs.services.tuning.container.request import dataset_uri
from tests.support import factories
from tests.support.row_driver import Driver
from tests.support.stored import path_of

pytestmark = [pytest.mark.django_db, pytest.mark.fault("F24")]
ROWS = "".join(json.dumps(row) + "\r\n\n" for row in factories.ROWS).encode()
GONE = "The file of the dataset Questions is missing from this server. Upload the file again."


@pytest.fixture
def driver(fake_gateway):
    return Driver()


@pytest.fixture
def dataset(owner):
    return datasets.create(owner, file=io.BytesIO(ROWS), file_name="questions.jsonl", name="Questions")


def started(owner, dataset):
    spec = factories.tuning_spec(dataset=dataset, output_uri=f"gs://garden-local/out/{uuid4()}")
    return jobs.create(owner, key=uuid4(), spec=spec)


@pytest.fixture
def bound(owner, driver, dataset):
    return driver.until(started(owner, dataset), phase="BOUND")


@pytest.mark.parametrize("left", [None, b"", b'{"prompt": "half'])
def test_a_copy_that_is_gone_or_cut_off_is_sent_again(owner, driver, dataset, bound, fake_gateway, left):
    objects, uri = fake_gateway.storage.objects, dataset_uri(dataset)
    whole = objects.pop(uri)
    if left is not None:
        objects[uri] = left
    job = driver.until(started(owner, dataset), phase="BOUND")
    assert (job.phase, objects[uri]) == ("BOUND", whole)
    assert fake_gateway.calls.count("storage.upload") == 2


def test_a_whole_bucket_that_is_gone_is_made_again(owner, driver, dataset, bound, fake_gateway):
    fake_gateway.storage.objects.clear()
    fake_gateway.storage.buckets.clear()
    driver.until(started(owner, dataset), phase="BOUND")
    assert list(fake_gateway.storage.objects) == [dataset_uri(dataset)]


def test_it_is_looked_for_again_when_the_job_had_to_wait(owner, driver, dataset, bound, fake_gateway):
    job = driver.step(started(owner, dataset))
    assert job.prepared_at is not None
    fake_gateway.storage.objects.clear()
    driver.now += timedelta(minutes=11)
    driver.until(job, phase="BOUND")
    assert dataset_uri(dataset) in fake_gateway.storage.objects


def test_the_copy_will_do_where_the_file_is_gone(owner, driver, dataset, bound):
    path_of(dataset).unlink()
    assert driver.until(started(owner, dataset), phase="BOUND").error_message == ""


def test_with_both_gone_the_same_file_heals_the_dataset(owner, driver, dataset, bound, fake_gateway):
    content, stats = path_of(dataset).read_bytes(), dataset.stats
    path_of(dataset).unlink()
    fake_gateway.storage.objects.clear()
    failed = driver.rest(started(owner, Dataset.objects.get()))
    assert (failed.state, failed.error_message) == ("FAILED", GONE)

    file = io.BytesIO(ROWS)
    assert (datasets.same_file(owner, file), file.tell()) == (dataset, 0)
    healed = Dataset.objects.get()
    assert (path_of(healed).read_bytes(), healed.stats, healed.is_usable, healed.notes) == (
        content,
        stats,
        True,
        dataset.notes,
    )
    driver.until(started(owner, healed), phase="BOUND")
    assert fake_gateway.storage.objects[dataset_uri(dataset)] == content


def test_every_dataset_of_these_bytes_is_healed(owner, dataset):
    other = datasets.create(owner, file=io.BytesIO(ROWS), file_name="again.jsonl", name="Again")
    path_of(dataset).unlink()
    assert datasets.same_file(owner, io.BytesIO(ROWS)) == other
    assert path_of(dataset).read_bytes() == path_of(other).read_bytes()


def test_a_file_to_convert_is_healed_as_it_was(owner):
    table = b"prompt,completion\nHello?,Ahoy!\n"
    dataset = datasets.create(owner, file=io.BytesIO(table), file_name="rows.csv", name="Table")
    path_of(dataset).unlink()
    assert datasets.same_file(owner, io.BytesIO(table)) == dataset
    assert (path_of(dataset).read_bytes(), Dataset.objects.get().shape) == (table, dataset.shape)


def test_another_persons_dataset_is_not_touched(dataset, stranger):
    path_of(dataset).unlink()
    assert datasets.same_file(stranger, io.BytesIO(ROWS)) is None
    assert not path_of(dataset).exists()
