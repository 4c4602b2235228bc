import json
from typing import Any

import httpx
import pytest
from google.api_core.exceptions import ServiceUnavailable
from google.cloud import aiplatform_v1beta1 as vertex
from requests.exceptions import ChunkedEncodingError, ConnectionError as Dropped

from tests.jobs.localvertex.servers import PARENT, TINY, wait_for
from tests.jobs.localvertex.serving.test_chat import seen


@pytest.fixture
def faulty(own_server, tmp_path):
    own_server.extra = ["--faults", str(tmp_path / "faults.json")]
    return own_server.start()


def switch(server, **fault):
    (server.folder / "faults.json").write_text(json.dumps([fault]))


def created(server) -> int:
    return len([line for line in server.ledger() if line["method"] == "create_tuning_job"])


@pytest.mark.parametrize(("mode", "jobs"), [("drop_before", 0), ("drop_after", 1)])
def test_dropped_connection(faulty, mode, jobs):
    job = faulty.job()
    switch(faulty, method="create_tuning_job", mode=mode)
    with pytest.raises(Dropped):
        faulty.tuning.create_tuning_job(parent=PARENT, tuning_job=job, retry=None)
    assert created(faulty) == jobs
    assert len(list(faulty.tuning.list_tuning_jobs(parent=PARENT))) == jobs
    faulty.create(job)
    assert created(faulty) == jobs + 1


def half(reply_of) -> bytes:
    """What arrived of an answer before its connection was closed."""
    parts: list[Any] = []
    with reply_of as reply:
        assert reply.status_code == 200
        with pytest.raises(httpx.RemoteProtocolError):
            any(map(parts.append, reply.iter_raw()))
    return b"".join(parts)


def streamed(server, path, body):
    return httpx.stream("POST", f"{server.url}/v1beta1/{PARENT}/{path}", json=body, timeout=10, trust_env=False)


@pytest.mark.parametrize("size", [0, 1, 40, 1_000_000])
def test_half_an_answer(faulty, size):
    switch(faulty, method="create_tuning_job", mode="half_answer", bytes=size)
    job = faulty.job()
    spec = {"trainingDatasetUri": job.supervised_tuning_spec.training_dataset_uri}
    wanted = {"baseModel": TINY, "outputUri": job.output_uri, "supervisedTuningSpec": spec}
    got = half(streamed(faulty, "tuningJobs", wanted))
    assert (len(got) == size, len(got) > 200, created(faulty)) == (size < 1000, size > 1000, 1)
    with pytest.raises(ValueError, match="char"):
        json.loads(got)
    assert faulty.create(faulty.job()).name


def test_google_s_client_sees_that_half_is_missing(faulty):
    switch(faulty, method="create_tuning_job", mode="half_answer", bytes=40)
    job = faulty.job()
    with pytest.raises(ChunkedEncodingError, match=r"40 bytes read, \d+ more expected"):
        faulty.tuning.create_tuning_job(parent=PARENT, tuning_job=job, retry=None)
    assert created(faulty) == 1


@pytest.mark.parametrize(("stream", "size"), [(True, 0), (True, 150), (False, 0), (False, 20)])
def test_half_a_chat(faulty, stream, size):
    faulty.deployed("half")
    switch(faulty, method="chat_completions", mode="half_answer", bytes=size)
    body = {"messages": [{"role": "user", "content": "forever" if stream else "hi"}], "stream": stream}
    assert len(half(streamed(faulty, "endpoints/half/chat/completions", body))) == size
    assert faulty.chat("half").status_code == 200
    ended = wait_for(
        lambda: [line["ended"] for line in seen(faulty) if line["ended"] == ("left" if stream else "whole")]
    )
    assert len(ended) >= 1


def test_refused_as_often_as_asked(faulty):
    switch(faulty, method="create_tuning_job", mode="refuse", status=503, times=2)
    job = faulty.job()
    for _ in range(2):
        with pytest.raises(ServiceUnavailable):
            faulty.tuning.create_tuning_job(parent=PARENT, tuning_job=job, retry=None)
    assert faulty.create(job).name
    assert created(faulty) == 1


def test_delayed(faulty):
    switch(faulty, method="list_tuning_jobs", mode="delay", seconds=0.3)
    address = f"{faulty.url}/v1beta1/{PARENT}/tuningJobs"
    reply = httpx.get(address, trust_env=False)
    assert reply.elapsed.total_seconds() > 0.3


def test_ledger_tells_the_labels(server):
    name = server.create(server.job(labels={"console-job": "abc"})).name
    (line,) = [line for line in server.ledger() if line["name"] == name]
    assert (line["labels"], line["base_model"]) == ({"console-job": "abc"}, TINY)


def test_health(server):
    health = httpx.get(f"{server.url}/healthz", trust_env=False).json()
    (tiny,) = [model for model in health["base_models"] if model["id"] == TINY]
    assert (health["status"], tiny["state"]) == ("ok", "ready")


def test_enums_are_numbers_for_googles_clients(server):
    address = f"{server.url}/v1beta1/publishers/google/models/gemma3@gemma-3-270m"
    plain = httpx.get(address, trust_env=False).json()
    numbers = httpx.get(address, params={"$alt": "json;enum-encoding=int"}, trust_env=False).json()
    assert (plain["launchStage"], numbers["launchStage"]) == ("GA", int(vertex.PublisherModel.LaunchStage.GA))


@pytest.mark.parametrize("body", [b"{", b"\xff\xfe", b'{"baseModel": "\\ud800"}', b"[" * 100_000])
def test_broken_json(server, body):
    reply = httpx.post(f"{server.url}/v1beta1/{PARENT}/tuningJobs", content=body, trust_env=False)
    assert (reply.status_code, reply.json()["error"]["status"]) == (400, "INVALID_ARGUMENT")


@pytest.mark.threat("T4")
@pytest.mark.parametrize(
    "header", [("Origin", "https://example.com"), ("Sec-Fetch-Site", "none"), ("Host", "evil.example:8085")]
)
def test_web_pages_are_refused(server, header):
    for path in ("/healthz", f"/v1beta1/{PARENT}/tuningJobs"):
        reply = httpx.get(f"{server.url}{path}", headers=dict([header]), trust_env=False)
        assert (reply.status_code, reply.headers["connection"]) == (403, "close")
        assert not any(name.startswith("access-control") for name in reply.headers)


@pytest.mark.threat("T4")
def test_web_sockets_are_refused(server):
    headers = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Key": "A" * 22 + "==",
               "Sec-WebSocket-Version": "13"}  # fmt: skip
    assert httpx.get(server.url, headers=headers, trust_env=False).status_code == 403


def test_star_may_be_encoded(server):
    assert httpx.get(f"{server.url}/v1beta1/publishers/%2A/models", trust_env=False).status_code == 200
