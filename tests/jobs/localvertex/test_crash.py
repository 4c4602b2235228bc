"""SIGKILL at random moments: after the restart everything ends as it would have, and nothing is lost or doubled."""

import json
import random
import signal
import threading
import time
from functools import partial

import pytest
from google.cloud import aiplatform_v1beta1 as vertex

from tests.jobs.localvertex.servers import PARENT, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
moments = pytest.mark.parametrize("moments", [4, pytest.param(20, marks=pytest.mark.slow)])


def killed_during(server, work, seconds: float) -> list[str]:
    """What `work` answered before the server died; nothing when it died first. Then the server is started again."""
    answers: list[str] = []

    def attempt() -> None:
        try:
            answers.append(work())
        except Exception:  # the connection broke, in one of many ways
            return

    thread = threading.Thread(target=attempt)
    thread.start()
    time.sleep(seconds)
    server.stop(signal.SIGKILL)
    thread.join(30)
    server.start()
    return answers


def told(server, method: str) -> list[str]:
    return [line["name"] for line in server.ledger() if line["method"] == method]


@moments
def test_training(own_server, moments):
    server, dice = own_server.start(), random.Random(20261124)
    answered: list[str] = []
    for _ in range(moments):
        job = server.job("slowly")
        answered += killed_during(
            server,
            lambda job=job: server.tuning.create_tuning_job(parent=PARENT, tuning_job=job, retry=None).name,
            dice.uniform(0, 1.2),
        )
    jobs = {job.name: job for job in server.tuning.list_tuning_jobs(parent=PARENT)}
    assert answered
    assert set(answered) <= set(jobs) <= set(told(server, "create_tuning_job"))
    assert len(told(server, "create_tuning_job")) == len(set(told(server, "create_tuning_job")))
    ended = [server.until(name, "SUCCEEDED", "FAILED") for name in jobs]
    assert [job.error.message for job in ended if job.error.message] == []
    assert [[c.step for c in job.tuned_model.checkpoints] for job in ended] == [[4, 8]] * len(jobs)
    models = [f"{model.name}@1" for model in server.models.list_models(parent=PARENT)]
    assert sorted(models) == sorted(job.tuned_model.model for job in ended)
    assert len({job.experiment for job in ended}) == len(jobs) == len(list(contexts(server)))


def contexts(server):
    return server.metadata.list_contexts(parent=f"{PARENT}/metadataStores/default")


@moments
@pytest.mark.slow
def test_deployment(own_server, moments):
    server, dice = own_server.start(), random.Random(20261125)
    answered: list[str] = []
    for number in range(moments):
        answered += killed_during(server, lambda number=number: server.deploy(f"e{number}"), dice.uniform(0, 0.6))
    operations = [line["operation"] for line in server.ledger() if line["method"] == "deploy"]
    assert answered
    assert set(answered) <= set(operations)
    assert len(operations) == len(set(operations)) <= moments
    for operation in answered:
        done = wait_for(partial(server.finished, operation), server.log)
        assert done.error.message == ""
    endpoints = wait_for(lambda: all_serving(server), server.log)
    assert {name.rpartition("/")[2] for name in endpoints} <= {f"e{number}" for number in range(moments)}
    assert len(list(server.models.list_models(parent=PARENT))) == len(endpoints) >= len(answered)
    assert len(list((server.data / "endpoints").glob("*/*/port.json"))) == len(endpoints)


def all_serving(server) -> list[str]:
    """Every endpoint's name, once each of them has exactly one model that answers."""
    found: list[vertex.Endpoint] = list(server.endpoints.list_endpoints(parent=PARENT))
    serving = [[one.status.available_replica_count for one in endpoint.deployed_models] for endpoint in found]
    return [endpoint.name for endpoint in found] if all(one == [1] for one in serving) else []


def test_events_of_a_killed_training_are_whole(own_server):
    server = own_server.start()
    name = server.create(server.job("slowly")).name
    server.until(name, "RUNNING")
    server.stop(signal.SIGKILL)
    server.start()
    server.until(name, "SUCCEEDED")
    lines = (server.data / "tuning-jobs" / name.rpartition("/")[2] / "events.jsonl").read_text().splitlines()
    steps = [json.loads(line)["step"] for line in lines if json.loads(line)["event"] == "step"]
    assert sorted(set(steps)) == list(range(1, 9))
