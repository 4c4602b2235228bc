"""Which object a training reads of a dataset that came from Cloud Storage."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from jobs.models import Dataset, SharedFolder, TuningJob
from jobs.services.datasets.cloud import imports
from jobs.services.tuning import jobs
from jobs.services.tuning.container.request import copy_uri
from jobs.vertex.errors import NotAuthorised, Unavailable
from tests.fakes import FakeGateway
from tests.support import factories
from tests.support.row_driver import Driver
from tests.support.stored import path_of

pytestmark = pytest.mark.django_db

URI = "gs://team-data/set/rows.jsonl"
ROWS = b'{"prompt": "Hello?", "completion": "Ahoy!"}\n' * 8
THE_SOURCE = f"{URI}, the source of the dataset rows, "


def import_file(owner: User, fake_gateway: FakeGateway) -> Dataset:
    fake_gateway.storage.objects[URI] = ROWS
    row = imports.begin(owner, URI)
    imports.advance(row.pk, timezone.now(), lambda row: None)
    return Dataset.objects.get()


def begin(owner: User, dataset: Dataset) -> TuningJob:
    spec = factories.tuning_spec(dataset=dataset, output_uri=f"gs://garden-local/out/{uuid4()}")
    return jobs.create(owner, key=uuid4(), spec=spec)


def list_training_addresses(fake_gateway: FakeGateway) -> list[str]:
    return [spec.training_dataset_uri for spec in fake_gateway.tuning.specs.values()]


def test_an_object_that_is_as_it_was_is_read_where_it_lies(owner: User, fake_gateway: FakeGateway) -> None:
    dataset = import_file(owner, fake_gateway)
    Driver().until(begin(owner, dataset), phase="BOUND")
    assert list_training_addresses(fake_gateway) == [URI]
    assert "storage.upload" not in fake_gateway.calls


def forbid(fake_gateway: FakeGateway) -> None:
    fake_gateway.fail("storage.find_object", NotAuthorised("No.", "PERMISSION_DENIED"))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda world: world.storage.objects.update({URI: ROWS * 2}), f"{THE_SOURCE}changed after it was checked."),
        (lambda world: world.storage.objects.pop(URI), f"{THE_SOURCE}is not there any more."),
        (forbid, f"The console can't read {URI}, the source of the dataset rows, any more."),
    ],
)
def test_else_the_copy_is_sent_and_the_job_says_why(
    owner: User, fake_gateway: FakeGateway, change: Callable[[Any], object], sentence: str
) -> None:
    dataset = import_file(owner, fake_gateway)
    change(fake_gateway)
    job = Driver().until(begin(owner, dataset), phase="BOUND")
    assert list_training_addresses(fake_gateway) == [copy_uri(dataset)]
    assert fake_gateway.storage.objects[copy_uri(dataset)] == ROWS == path_of(dataset).read_bytes()
    assert sentence in [str(event.message) for event in job.events.all()]


def test_who_may_not_read_it_any_more_trains_on_the_copy(fake_gateway: FakeGateway) -> None:
    mate = factories.team_mate()
    folder = SharedFolder.objects.create(uri="gs://team-data/set", user=mate)
    dataset = import_file(mate, fake_gateway)
    folder.delete()
    output = f"gs://garden-local/tuning/users/{mate.pk}/out"
    job = jobs.create(mate, key=uuid4(), spec=factories.tuning_spec(dataset=dataset, output_uri=output))
    Driver().until(job, phase="BOUND")
    assert list_training_addresses(fake_gateway) == [copy_uri(dataset)]


def test_a_store_that_does_not_answer_is_asked_again(owner: User, fake_gateway: FakeGateway) -> None:
    dataset = import_file(owner, fake_gateway)
    fake_gateway.fail("storage.find_object", Unavailable("Cloud Storage does not answer."))
    Driver().until(begin(owner, dataset), phase="BOUND")
    assert list_training_addresses(fake_gateway) == [URI]
