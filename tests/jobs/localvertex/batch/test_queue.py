"""Batches while the server dies and comes back."""

import json
import signal

import pytest

from tests.jobs.localvertex.resources.test_batch_jobs import Api, contents
from tests.jobs.localvertex.servers import wait_for

ROWS = 24


def asked(server):
    path = server.data / "endpoints/seen.jsonl"
    return len(path.read_text().splitlines()) if path.exists() else 0


@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGKILL, marks=pytest.mark.slow)])
def test_a_batch_goes_on_where_it_was(own_server, number):
    api = Api(own_server.start())
    job = api.create("batch-restart", [contents("slow", number=one) for one in range(ROWS)])
    wait_for(lambda: api.send("GET", job["name"]).json().get("completionStats"), own_server.log)
    own_server.stop(number)
    before = asked(own_server)
    own_server.start()
    done = api.ended(job)
    assert (done["state"], done["completionStats"]) == ("JOB_STATE_SUCCEEDED", {"successfulCount": str(ROWS)})
    assert [line["number"] for line in api.outputs(done)["predictions.jsonl"]] == [*range(ROWS)]
    assert 0 < before < ROWS
    assert asked(own_server) <= ROWS + 4
    assert not (own_server.data / "batch-prediction-jobs" / job["name"].rpartition("/")[2]).exists()


def test_a_row_whose_model_dies_is_asked_again_and_fails_alone(own_server):
    api = Api(own_server.start())
    done = api.ended(api.create("batch-dies", [contents("hi"), contents("die"), contents("hi")]))
    assert (done["state"], done["completionStats"]) == (
        "JOB_STATE_SUCCEEDED",
        {"successfulCount": "2", "failedCount": "1"},
    )
    _, died, _ = api.outputs(done)["predictions.jsonl"]
    assert json.loads(died["status"].partition(": ")[2])["error"]["status"] == "UNAVAILABLE"


def test_what_a_crash_has_left_goes_at_the_next_start(own_server):
    left = own_server.data / "batch-prediction-jobs" / "1"
    left.mkdir(parents=True)
    own_server.start()
    assert not left.exists()
