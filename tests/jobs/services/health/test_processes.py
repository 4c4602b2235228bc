import os
import platform
from datetime import timedelta

import pytest

from jobs.models import ProcessReport
from jobs.services.health import processes
from tests.support.factories import NOW

pytestmark = pytest.mark.django_db
GONE = 2**22 + 1


def kept():
    return sorted(ProcessReport.objects.values_list("kind", "pid"))


def other(kind, pid, seconds_ago=1, host=None):
    seen_at = NOW - timedelta(seconds=seconds_ago)
    values = {"host": host or platform.node(), "version": "0.1.0", "since": seen_at, "seen_at": seen_at}
    ProcessReport.objects.create(kind=kind, pid=pid, **values)


def test_a_process_has_one_row_and_takes_it_along():
    processes.report("chat", NOW)
    processes.report("chat", NOW + timedelta(seconds=10))
    assert [one.seen_at for one in processes.reports(NOW)] == [NOW + timedelta(seconds=10)]
    processes.withdraw("chat", NOW)
    assert kept() == []


def test_the_first_report_forgets_those_that_it_replaces():
    """One that is gone, on this machine and of this kind; and any that was silent for ten minutes."""
    other("chat", GONE)
    other("chat", os.getppid())
    other("chat", GONE, host="elsewhere")
    other("web", GONE)
    other("worker", 5, seconds_ago=601)
    processes.report("chat", NOW)
    assert kept() == sorted([("chat", os.getpid()), ("chat", os.getppid()), ("chat", GONE), ("web", GONE)])
