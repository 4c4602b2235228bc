"""Whether a process of a kind works here, for the health check of its container."""

import platform
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from jobs.models import ProcessReport

pytestmark = pytest.mark.django_db


def report(kind="beat", host=None, seconds_ago=2):
    seen_at = timezone.now() - timedelta(seconds=seconds_ago)
    host = host or platform.node()[:100]
    ProcessReport.objects.create(kind=kind, host=host, pid=7, version="1", since=seen_at, seen_at=seen_at)


def test_one_that_reports():
    report()
    assert call_command("check-process", "beat") is None


@pytest.mark.parametrize("other", [{"kind": "chat"}, {"host": "elsewhere"}])
def test_one_of_another_kind_or_container_does_not_count(other):
    report(**other)
    with pytest.raises(CommandError, match="^No process of the kind beat reports from "):
        call_command("check-process", "beat")


@pytest.mark.fault("F23")
def test_one_that_is_silent():
    report(seconds_ago=45)
    with pytest.raises(CommandError, match="^The process 7 .beat. last reported 4[5-9] seconds ago"):
        call_command("check-process", "beat")
