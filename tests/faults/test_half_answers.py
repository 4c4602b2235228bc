"""The real gateway against the local Vertex AI, whose answers break off: one create each, and a chat that says so."""

import json
import time
from uuid import uuid4

import pytest
from django.utils import timezone

from jobs.services.chat import conversations, tree
from jobs.vertex import get_gateway
from tests.support import factories
from tests.support.localservers import TINY
from tests.support.row_driver import Driver

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(180), pytest.mark.fault("F11")]


@pytest.fixture
def vertex(local_vertex, settings, monkeypatch):
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", local_vertex.storage)
    settings.VERTEX_API_ENDPOINT = local_vertex.address
    settings.VERTEX_GATEWAY = "jobs.vertex.sdk.Gateway"
    get_gateway.cache_clear()
    yield local_vertex
    get_gateway.cache_clear()


@pytest.fixture
def ready(vertex):
    return ready_endpoint(vertex)


def ready_endpoint(vertex, size=None):
    number = uuid4().hex[:8]
    endpoint = factories.endpoint(
        base_model=TINY, publisher_model=TINY, endpoint_user_id=f"half-{number}", model_user_id=f"half-{number}",
        next_check_at=timezone.now(), request_hash="c0ffee00" * 8,
    )  # fmt: skip
    if size is not None:
        vertex.fault("deploy", "half_answer", size=size)
    return in_real_time(endpoint, state="READY")


def in_real_time(row, **wanted):
    """As Driver.until, but what runs on the other side needs real seconds."""
    driver, until = Driver(), time.monotonic() + 90
    while any(getattr(row, name) != value for name, value in wanted.items()):
        assert time.monotonic() < until, (row.state, row.phase, row.notice, row.error_message)
        driver.step(row)
        time.sleep(0.05)
    return row


def told(vertex, method, name):
    lines = (vertex.folder / "vertex/ledger.jsonl").read_text().splitlines()
    return [line for line in map(json.loads, lines) if (line["method"], line["name"]) == (method, name)]


def creates(vertex, key):
    lines = (vertex.folder / "vertex/ledger.jsonl").read_text().splitlines()
    return [line["name"] for line in map(json.loads, lines) if line.get("labels", {}).get("app-key") == key]


@pytest.mark.parametrize("size", [0, 60])
def test_half_an_answer_to_a_create_is_one_tuning_job(vertex, size):
    job = factories.job(base_model=TINY, next_check_at=timezone.now(), request_hash="c0ffee00" * 8)
    vertex.fault("create_tuning_job", "half_answer", size=size)
    in_real_time(job, phase="BOUND")
    assert creates(vertex, str(job.pk)) == [job.resource_name]


@pytest.mark.parametrize("size", [0, 60])
def test_half_an_answer_to_a_deploy_is_one_endpoint(vertex, size):
    endpoint = ready_endpoint(vertex, size)
    assert len(told(vertex, "deploy", endpoint.resource_name)) == 1


@pytest.mark.parametrize(("size", "state"), [(0, "FAILED"), (900, "INTERRUPTED")])
def test_half_a_chat_is_marked(vertex, ready, monkeypatch, size, state):
    vertex.fault("chat_completions", "half_answer", size=size)
    conversation = factories.conversation(endpoint=ready, title="")
    answer = conversations.ask(conversation, key=uuid4(), text="What is the opposite of hot?")
    conversations.answer(answer.pk)
    answer.refresh_from_db()
    assert (answer.state, bool(answer.content)) == (state, state == "INTERRUPTED")
    assert answer.error_message == "The connection to the endpoint broke before the answer was complete."
    again = tree.regenerate(answer, key=uuid4())
    conversations.answer(again.pk)
    again.refresh_from_db()
    assert (again.state, bool(again.content)) == ("COMPLETE", True)
