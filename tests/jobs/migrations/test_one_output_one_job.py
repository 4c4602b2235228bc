"""Two jobs on one output folder, from before each had to have its own."""

from collections.abc import Iterator
from datetime import timedelta
from importlib import import_module
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError, transaction

from jobs.models import Dataset, TuningJob
from tests.support import factories
from tests.support.migrations import migrate, newest

pytestmark = pytest.mark.django_db(transaction=True)
NAME = "0033_one_output_one_job"
BEFORE = import_module(f"jobs.migrations.{NAME}").Migration.dependencies[0]
FOLDER = "gs://garden-local/shared"


@pytest.fixture
def dataset(owner: User) -> Dataset:
    made: Dataset = factories.dataset(owner=owner)
    return made


@pytest.fixture
def before(dataset: Dataset) -> Iterator[Any]:
    """The models of the version before; the database is as new again afterwards."""
    yield migrate(BEFORE).get_model("jobs", "TuningJob")
    migrate(*newest())


@pytest.mark.slow
def test_what_shares_a_folder_is_kept_and_only_the_first_owns_it(owner: User, dataset: Dataset, before: Any) -> None:
    same = {
        "owner_id": owner.pk, "dataset_id": dataset.pk, "display_name": "Twin", "location": "us-central1",
        "base_model": factories.BASE_MODEL, "epochs": 1, "learning_rate": 0.001,
    }  # fmt: skip
    rows = {uuid4(): (FOLDER, minutes) for minutes in (30, 10, 20)} | {uuid4(): (f"{FOLDER}/below", 0)}
    for pk, (uri, minutes) in rows.items():
        created = factories.NOW + timedelta(minutes=minutes)
        before.objects.create(pk=pk, output_uri=uri, created_at=created, **same)
    migrate(*newest())
    later, first, middle, alone = rows
    owns = dict(TuningJob.objects.values_list("pk", "owns_output"))
    assert owns == {later: False, first: True, middle: False, alone: True}
    assert set(TuningJob.objects.filter(output_uri=FOLDER).values_list("pk", flat=True)) == {later, first, middle}
    with pytest.raises(IntegrityError), transaction.atomic():
        factories.job(output_uri=FOLDER, dataset=dataset)


def test_a_job_that_shares_goes_on_as_before(owner: User) -> None:
    first = factories.job(output_uri=FOLDER, state="RUNNING")
    second = factories.job(output_uri=FOLDER, owns_output=False, dataset=first.dataset)
    second.display_name = "Renamed"
    second.save()
    assert TuningJob.objects.filter(output_uri=FOLDER).count() == 2
