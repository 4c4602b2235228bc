"""Rows of an installation from before there were kinds: the English of a sentence was its key."""

from collections.abc import Callable, Iterator
from functools import partial
from importlib import import_module
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.models import User
from django.db import models
from django.utils import translation

from jobs.models import Dataset, EventLevel, JobEvent, Notification, TuningJob
from jobs.models.fields.deferred_text import DeferredJSONField, DeferredTextField
from jobs.text.deferred import gettext, serialize
from tests.support import factories
from tests.support.migrations import migrate, newest

NAME = "0037_stored_text"
MIGRATION = import_module(f"jobs.migrations.{NAME}")
BEFORE = ("jobs", "0036_endpoint_without_model")
# They came with the form of today.
NEWER = {
    ("OutputListing", "error"), ("Takeaway", "error"), ("DatasetWork", "error"), ("TuningJob", "join_problem"),
    ("Preflight", "lines"), ("TuningJob", "log_problem"), ("EndpointReport", "error"), ("PriceSync", "error_message"),
    ("InventoryLook", "problem"), ("DatasetImport", "error"), ("ModelImport", "error"),
}  # fmt: skip

CREATED = '{"sentence": "The job was created."}'
WAITING = '{"sentence": "Waiting for quota. %s", "values": "{\\"sentence\\": \\"The job was created.\\"}"}'
UNKNOWN = '{"sentence": "Nobody says %s.", "values": "this"}'
FOREIGN = '{"sentence": "", "as_it_is": "{\\"sentence\\": \\"The job was created.\\"}"}'
PLAIN = 'No quota: this sentence has {"kind": "no form"}'
WAITS = gettext("Waiting for quota. %s") % gettext("The job was created.")
KIND = serialize(gettext("The job was created."))


@pytest.fixture
def go_back(transactional_db: None) -> Iterator[Callable[[], Any]]:
    """To the models of the version before; the database is as new again afterwards."""
    yield partial(migrate, BEFORE)
    migrate(*newest())


def raw(model: type[models.Model], column: str) -> list[Any]:
    """What the rows have, in the order in which they were made."""
    field = models.JSONField() if isinstance(model._meta.get_field(column), models.JSONField) else models.TextField()
    rows = model._default_manager.order_by("pk").annotate(raw=models.functions.Cast(column, field))
    return list(rows.values_list("raw", flat=True))


@pytest.mark.slow
def test_events_and_notices_get_kinds(go_back: Callable[[], Any], owner: User) -> None:
    job = factories.job(owner=owner)
    before = go_back()
    before.get_model("jobs", "TuningJob").objects.filter(pk=job.pk).update(notice=WAITING, error_message=UNKNOWN)
    old = [CREATED, PLAIN, UNKNOWN, WAITING, FOREIGN]
    events = before.get_model("jobs", "JobEvent").objects
    events.bulk_create(
        events.model(job_id=job.pk, level=EventLevel.INFO, message=old[number % 5]) for number in range(1203)
    )
    migrate(*newest())
    as_it_is = '{"kind": "", "as_it_is": "{\\"sentence\\": \\"The job was created.\\"}"}'
    new = [KIND, PLAIN, UNKNOWN, serialize(WAITS), as_it_is]
    assert raw(JobEvent, "message") == [new[number % 5] for number in range(1203)]
    read = [str(WAITS), PLAIN, "Nobody says this.", CREATED, "The job was created."]
    assert set(JobEvent.objects.values_list("message", flat=True)) == set(read)
    job = TuningJob.objects.get()
    assert (job.notice, job.error_message) == (WAITS, "Nobody says this.")
    with translation.override("ko"):
        job = TuningJob.objects.get()
        assert job.notice == translation.gettext("Waiting for quota. %s") % translation.gettext("The job was created.")


@pytest.mark.slow
def test_sentences_deep_in_json_get_kinds(go_back: Callable[[], Any], owner: User) -> None:
    dataset = factories.dataset(owner=owner)
    before = go_back()
    problems = [{"line": 3, "problem": CREATED, "remedy": "", "more": [[WAITING, UNKNOWN, 100_000, None]]}]
    before.get_model("jobs", "Dataset").objects.filter(pk=dataset.pk).update(problems=problems, notes=[])
    facts = {"name": "Ahab", "reason": FOREIGN}
    before.get_model("jobs", "Notification").objects.create(
        owner_id=owner.pk, kind="tuning.failed", subject="tuning_job", subject_id=dataset.pk, end="FAILED", facts=facts
    )
    migrate(*newest())
    more = [[serialize(WAITS), UNKNOWN, 100_000, None]]
    assert raw(Dataset, "problems") == [[{"line": 3, "problem": KIND, "remedy": "", "more": more}]]
    assert Dataset.objects.get().problems[0]["problem"] == "The job was created."
    assert Notification.objects.get().facts == {"name": "Ahab", "reason": CREATED}


@pytest.mark.slow
def test_it_can_be_done_again_and_taken_back(go_back: Callable[[], Any], owner: User) -> None:
    job = factories.job(owner=owner)
    before = go_back()
    before.get_model("jobs", "TuningJob").objects.filter(pk=job.pk).update(notice=WAITING)
    for target in (("jobs", NAME), BEFORE, ("jobs", NAME)):
        migrate(target)
        assert raw(TuningJob, "notice") == [serialize(WAITS)]


def test_every_column_is_rewritten() -> None:
    columns = {
        (model.__name__, field.name)
        for model in apps.get_app_config("jobs").get_models()
        for field in model._meta.get_fields()
        if isinstance(field, DeferredTextField | DeferredJSONField)
    }
    listed = {(name, column) for name, columns in MIGRATION.COLUMNS.items() for column in columns}
    assert listed == columns - NEWER
