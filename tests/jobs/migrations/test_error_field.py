from importlib import import_module

import pytest
from django.apps import apps

from jobs.models import TuningJob
from tests.support import factories
from tests.support.factories import NOW

pytestmark = pytest.mark.django_db
migration = import_module("jobs.migrations.0040_error_field")


def ended(name, **values):
    values = {"state": "CANCELLED", "started_at": NOW, "resource_name": f"jobs/{name}"} | values
    factories.job(display_name=name, phase="CLOSED", next_check_at=None, output_uri=f"gs://b/{name}", **values)


def test_what_ended_early_is_looked_at_once_more():
    ended("cancelled")
    ended("failed", state="FAILED")
    ended("never sent", resource_name="")
    ended("never begun", started_at=None)
    ended("known", checkpoints=[{"checkpoint_id": "1", "epoch": 1, "step": 5}])
    ended("tuned", state="SUCCEEDED")
    migration.look_once_more(apps, None)
    due = TuningJob.objects.filter(phase="BOUND", next_check_at__isnull=False)
    assert sorted(due.values_list("display_name", flat=True)) == ["cancelled", "failed"]
