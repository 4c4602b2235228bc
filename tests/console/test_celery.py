import logging
import subprocess
import sys

import pytest
from celery.concurrency.thread import TaskPool
from celery.worker.consumer import Consumer

from console.celery import app
from tests.support.running import ROOT, environment

LEAVES = """
import os, threading, time, types
from console.celery import ScheduleStep, app, name_worker
name_worker(options={"queues": "jobs"})
worker = types.SimpleNamespace(app=app, steps=[])
step = ScheduleStep(worker, with_schedule=True)
step.include(worker)
step.start(worker)
while step.obj.service.scheduler._heap is None:
    time.sleep(0.01)
ending = threading.Thread(target=step.stop, args=[worker], daemon=True)
ending.start()
ending.join(5)
print("waits" if ending.is_alive() else "leaves", "scheduler", step.obj.is_alive(), flush=True)
os._exit(0)
"""


def test_the_broker_notes_who_has_a_message_of_a_job_and_not_of_an_answer():
    assert {name: queue.no_ack for name, queue in app.amqp.queues.items()} == {"jobs": False, "chat": True}


@pytest.mark.fault("F21", "F23")
def test_a_worker_whose_broker_is_gone_does_not_wait_for_its_scheduler(tmp_path):
    """That asks for the broker for ever. A worker that stays holds the data directory of a console whose `up` was
    killed, and the next one does not start."""
    given = {"CONSOLE_DATA_DIR": str(tmp_path), "REDIS_URL": "redis://127.0.0.1:1/0"}
    given |= {"DJANGO_SETTINGS_MODULE": "console.settings"}
    command = [sys.executable, "-c", f"import django; django.setup(){LEAVES}"]
    told = subprocess.run(command, cwd=ROOT, env=environment(given), capture_output=True, text=True, timeout=300)
    assert told.stdout == "leaves scheduler True\n", told.stderr


@pytest.mark.fault("F21")
@pytest.mark.parametrize(
    ("message", "keeps_traceback"),
    [("Failed to cancel active request %r after connection loss", False), ("Cannot be foreseen: %r", True)],
)
def test_that_a_task_in_a_thread_cannot_be_cancelled_takes_one_line_of_the_log(caplog, message, keeps_traceback):
    with pytest.raises(NotImplementedError) as raised:
        TaskPool(limit=1).terminate_job(1)
    error = raised.value
    logging.getLogger(Consumer.__module__).warning(message, "work", exc_info=error)
    assert [bool(record.exc_info) for record in caplog.records] == [keeps_traceback]
