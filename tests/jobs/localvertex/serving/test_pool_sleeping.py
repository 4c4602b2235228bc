"""Model servers that are stopped when nobody uses them or their memory is needed, and started at the next request."""

import json
import os
import shlex
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from google.api_core.exceptions import BadRequest

from jobs.localvertex.serving.llama import Plan
from jobs.localvertex.serving.pool import Serving, name_of
from jobs.localvertex.store import Store
from tests.jobs.localvertex.servers import FAKE_LLAMA, PARENT, wait_for
from tests.jobs.localvertex.serving.test_pool import gone, llama

pytestmark = pytest.mark.slow

TINY = Path(__file__).parents[3] / "fixtures/tiny-gemma3/model.gguf"
ONE_FITS, TWO_FIT = 100, 180  # the tiny model is taken for 69 MB


@pytest.fixture
def starts(own_server, monkeypatch):
    """Lines that the fake model servers leave when they start."""
    path = own_server.folder / "starts.txt"
    monkeypatch.setenv("FAKE_LLAMA_STARTS", str(path))
    return path


def states(server) -> dict[str, str]:
    models = httpx.get(f"{server.url}/healthz", trust_env=False).json()["serving"]["models"]
    return {model["name"].split("/")[5]: model["state"] for model in models}


def replicas(server, endpoint) -> int:
    (deployed,) = server.endpoints.get_endpoint(name=f"{PARENT}/endpoints/{endpoint}").deployed_models
    return deployed.status.available_replica_count


def asleep(server, endpoint) -> bool:
    return states(server)[endpoint] == "asleep"


def test_idle_child_is_stopped_and_started_again_by_the_next_request(own_server, starts):
    own_server.extra = ["--idle-unload", "0.6"]
    server = own_server.start()
    server.deployed("dozing")
    first = llama(server, "dozing")
    assert replicas(server, "dozing") == 1
    wait_for(lambda: asleep(server, "dozing"), server.log)
    assert (gone(first), replicas(server, "dozing")) == (True, 0)
    assert server.chat("dozing").json()["choices"][0]["message"]["content"] == "Hello there"
    assert (states(server)["dozing"], replicas(server, "dozing")) == ("answering", 1)
    assert len(starts.read_text().splitlines()) == 2


def test_google_s_words_for_it(own_server):
    """Scaled to zero by rule, and nothing is the matter: no message."""
    own_server.extra = ["--idle-unload", "0.6"]
    server = own_server.start()
    server.deployed("zero")
    wait_for(lambda: asleep(server, "zero"), server.log)
    (deployed,) = server.endpoints.get_endpoint(name=f"{PARENT}/endpoints/zero").deployed_models
    period = deployed.dedicated_resources.scale_to_zero_spec.idle_scaledown_period
    assert (deployed.status.message, period.total_seconds()) == ("", 0.6)


def test_one_that_was_asked_to_scale_to_zero_has_a_time_of_its_own(tmp_path):
    """Others never sleep here. It comes back when it is wanted."""
    serving = Serving(tmp_path, shlex.split(FAKE_LLAMA), idle_seconds=0)
    plans = [Plan("e/deployedModels/1", str(TINY), idle_seconds=0.4), Plan("e/deployedModels/2", str(TINY))]
    try:
        serving.watch()
        for plan in plans:
            serving.start(plan)
        wait_for(lambda: serving.state(plans[0].name)[0] == "asleep", lambda: "")
        assert serving.state(plans[1].name)[0] == "answering"
        held = serving.hold(plans[0].name)
        wait_for(lambda: serving.wake(held), lambda: "")
        assert serving.state(plans[0].name)[0] == "answering"
    finally:
        serving.stop_all()


def test_the_time_that_was_asked_for_outlives_the_deployment(own_server):
    server = own_server.start()
    resources = {"machine_spec": {"machine_type": "local-cpu"}, "max_replica_count": 1}
    resources["scale_to_zero_spec"] = {"idle_scaledown_period": timedelta(minutes=5)}
    (deployed,) = server.deployed("dozer", deploy_config={"dedicated_resources": resources}).deployed_models
    server.stop()
    store = Store(server.data / "vertex.sqlite3")
    assert store.note(name_of(f"{PARENT}/endpoints/dozer", deployed.id))["idle_seconds"] == 300
    store.close()


def test_first_requests_start_it_once(own_server, starts):
    own_server.extra = ["--idle-unload", "0.5"]
    server = own_server.start()
    server.deployed("crowd")
    wait_for(lambda: asleep(server, "crowd"), server.log)
    with ThreadPoolExecutor(8) as pool:
        codes = list(pool.map(lambda _: server.chat("crowd").status_code, range(8)))
    assert codes == [200] * 8
    assert len(starts.read_text().splitlines()) == 2


def test_one_that_answers_is_not_idle(own_server):
    own_server.extra = ["--idle-unload", "0.4"]
    server = own_server.start()
    server.deployed("talking")
    child = llama(server, "talking")
    url = f"{server.url}/v1beta1/{PARENT}/endpoints/talking/chat/completions"
    body = {"messages": [{"role": "user", "content": "forever"}], "stream": True}
    with httpx.stream("POST", url, json=body, trust_env=False) as reply:
        until = time.monotonic() + 1.5
        assert any(time.monotonic() > until for _ in reply.iter_lines())
        assert (states(server)["talking"], llama(server, "talking")) == ("answering", child)
    wait_for(lambda: asleep(server, "talking"), server.log)


def test_never_means_never(own_server):
    own_server.extra = ["--idle-unload", "0"]
    server = own_server.start()
    server.deployed("awake")
    time.sleep(1)
    assert states(server) == {"awake": "answering"}


def test_undeployed_while_it_loads(own_server, monkeypatch):
    own_server.extra = ["--idle-unload", "0.4"]
    monkeypatch.setenv("FAKE_LLAMA_SECONDS", "1.5")
    server = own_server.start()
    (deployed,) = server.deployed("loading").deployed_models
    wait_for(lambda: asleep(server, "loading"), server.log)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(server.chat, "loading")
        wait_for(lambda: states(server)["loading"] == "starting", server.log)
        server.endpoints.undeploy_model(endpoint=f"{PARENT}/endpoints/loading", deployed_model_id=deployed.id)
        error = waiting.result().json()["error"]
    assert (error["status"], error["message"]) == (
        "FAILED_PRECONDITION",
        "The model was undeployed. Deploy it again to use it.",
    )
    assert states(server) == {}


def test_crash_while_it_loads_again(own_server, tmp_path):
    weights = broken_later(own_server, tmp_path)
    server = own_server.start()
    server.deployed("relapse", publisher_model_name="publishers/me/models/weak@one")
    wait_for(lambda: asleep(server, "relapse"), server.log)
    weights.write_bytes(b"broken")
    reply = server.chat("relapse")
    assert (reply.status_code, reply.headers["retry-after"], reply.json()["error"]["message"]) == (
        503,
        "2",
        "Model server exited unexpectedly. E error: the model file is broken. It is started again in a few seconds.",
    )
    assert states(server)["relapse"] == "failed"
    weights.write_bytes(b"whole")
    wait_for(lambda: server.chat("relapse").status_code == 200, server.log)


def broken_later(server, tmp_path) -> Path:
    folder = tmp_path / "weak"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.gguf").write_bytes(b"whole")
    server.extra = ["--base-model", f"me/weak@one={folder}", "--idle-unload", "0.5"]
    return folder / "model.gguf"


def test_least_recently_used_makes_room(own_server):
    own_server.extra = ["--serving-memory-mb", str(TWO_FIT)]
    server = own_server.start()
    for name in ("one", "two"):
        server.deployed(name)
    assert server.chat("one").status_code == 200
    server.deployed("three")
    assert states(server) == {"one": "answering", "two": "asleep", "three": "answering"}
    assert server.chat("two").status_code == 200
    assert states(server) == {"one": "asleep", "two": "answering", "three": "answering"}


def test_no_room_while_all_are_answering(own_server):
    own_server.extra = ["--serving-memory-mb", str(ONE_FITS)]
    server = own_server.start()
    server.deployed("first")
    server.deployed("second")
    url = f"{server.url}/v1beta1/{PARENT}/endpoints/second/chat/completions"
    body = {"messages": [{"role": "user", "content": "forever"}], "stream": True}
    with ThreadPoolExecutor(1) as pool:
        with httpx.stream("POST", url, json=body, trust_env=False) as reply:
            lines = reply.iter_lines()
            next(lines)
            waiting = pool.submit(server.chat, "first")
            time.sleep(0.5)
            assert (states(server), waiting.done()) == ({"first": "asleep", "second": "answering"}, False)
        assert waiting.result().status_code == 200


def test_model_that_never_fits_is_refused(own_server):
    own_server.extra = ["--serving-memory-mb", "50"]
    server = own_server.start()
    message = r"tiny-gemma3 needs about \d+ MB .* may take 50 MB altogether\. Deploy a smaller model"
    with pytest.raises(BadRequest, match=message):
        server.deploy("giant")
    assert server.ledger() == []


def test_asleep_after_a_restart_without_room(own_server):
    own_server.extra = ["--serving-memory-mb", str(ONE_FITS)]
    server = own_server.start()
    server.deployed("older")
    server.deployed("newer")
    server.stop(signal.SIGKILL)
    server.start()
    wait_for(lambda: sorted(states(server).values()) == ["answering", "asleep"], server.log)
    assert [server.chat(name).status_code for name in ("older", "newer")] == [200, 200]


def test_killed_under_load(own_server, starts):
    """Whoever was being answered is told; whoever comes next is answered; and never are there two children."""
    server = own_server.start()
    server.deployed("loaded")
    stop, codes = threading.Event(), []

    def ask() -> None:
        while not stop.is_set():
            codes.append(server.chat("loaded", "slow").status_code)

    with ThreadPoolExecutor(4) as pool:
        for _ in range(4):
            pool.submit(ask)
        for _ in range(3):
            child = wait_for(lambda: states(server)["loaded"] == "answering" and llama(server, "loaded"), server.log)
            time.sleep(0.3)
            os.kill(child, signal.SIGKILL)
            assert server.chat("loaded").status_code == 200
        stop.set()
    assert set(codes) <= {200, 503}
    assert codes.count(503) <= 3 * 4
    assert len(starts.read_text().splitlines()) == 4


def test_health_tells_what_is_served(own_server):
    own_server.extra = ["--serving-memory-mb", "300"]
    server = own_server.start()
    server.deployed("healthy")
    serving = httpx.get(f"{server.url}/healthz", trust_env=False).json()["serving"]
    (model,) = serving["models"]
    assert (serving["budget_mb"], model["state"], model["resident_mb"] > 1) == (300, "answering", True)
    assert json.dumps(model["needs_mb"]).isdecimal()
