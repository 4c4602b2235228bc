"""A signed POST to a receiver on loopback, and what becomes of a receiver that misbehaves."""

import base64
import json
import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from django.utils import timezone

from jobs.models import Delivery, NotificationChoice, Problem
from jobs.services.notifications import webhook
from jobs.services.notifications.delivery_errors import NotDelivered
from tests.support import factories
from tests.support.receivers import receiving, wait_until

pytestmark = pytest.mark.django_db
DOCUMENT = Path(__file__).parents[4] / "docs/notifications.md"


@pytest.fixture(autouse=True)
def _own_network(settings):
    settings.WEBHOOK_PRIVATE = True
    settings.CONSOLE_URL = "https://console.example"


@pytest.fixture
def delivery(owner):
    return Delivery.objects.create(notification=factories.notification(), way="webhook")


def choice_for(url):
    return NotificationChoice(user=factories.owner(), webhook_url=url, webhook_nonce="nonce")


def send(delivery, url):
    webhook.send(delivery, choice_for(url), timezone.now())


def outcome(delivery, url):
    with pytest.raises(NotDelivered) as raised:
        send(delivery, url)
    return raised.value.problem, raised.value.detail, raised.value.for_good


def test_the_body_has_facts_and_a_link(delivery):
    with receiving() as receiver:
        send(delivery, receiver.url)
    [(headers, body)] = receiver.requests
    told = delivery.notification
    assert json.loads(body) == {
        "type": "tuning.succeeded",
        "timestamp": told.created_at.isoformat(),
        "text": "Tuning My model succeeded",
        "data": {
            "notification": str(told.pk), "subject": "tuning_job", "id": str(told.subject_id), "name": "My model",
            "state": "SUCCEEDED", "url": f"https://console.example/notifications/{told.pk}/",
        },
    }  # fmt: skip
    assert (headers["webhook-id"], headers["content-type"]) == (str(delivery.pk), "application/json")
    assert headers["host"] == receiver.url.split("/")[2]


def test_the_signature_is_that_of_the_standard():
    """The vector of the specification's own libraries."""
    key, body = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"), b'{"test": 2432232314}'
    made = webhook.signature(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body)
    assert made == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_repetition_has_the_same_id_and_body(delivery):
    with receiving(500, 204) as receiver:
        outcome(delivery, receiver.url)
        send(delivery, receiver.url)
    first, second = receiver.requests
    assert (first[0]["webhook-id"], first[1]) == (second[0]["webhook-id"], second[1])


def test_another_secret_signs_otherwise():
    first, second = choice_for(""), choice_for("")
    second.webhook_nonce = "another"
    assert webhook.secret_of(first) != webhook.secret_of(second)
    assert webhook.secret_of(first).startswith("whsec_")


@pytest.mark.threat("T8")
@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (500, (Problem.ANSWER, "500", False)),
        (404, (Problem.ANSWER, "404", False)),
        (302, (Problem.REDIRECT, "302", False)),
        (308, (Problem.REDIRECT, "308", False)),
        (410, (Problem.GONE, "", True)),
        ("drop", (Problem.UNREACHABLE, "RemoteProtocolError", False)),
    ],
)
def test_a_refusal_is_named(delivery, answer, expected):
    with receiving(answer) as receiver:
        assert outcome(delivery, receiver.url) == expected
    assert len(receiver.requests) == 1


@pytest.mark.parametrize("answer", ["hang", "drip"])
def test_a_slow_answer_is_cut_off(delivery, answer, settings):
    settings.WEBHOOK_TIMEOUT = 0.5
    with receiving(answer) as receiver:
        began = time.monotonic()
        assert outcome(delivery, receiver.url) == (Problem.TIMEOUT, "0.5", False)
    assert time.monotonic() - began < 10


@pytest.mark.threat("T8")
def test_a_long_answer_is_not_read(delivery):
    with receiving("long") as receiver:
        send(delivery, receiver.url)
    assert len(receiver.requests) == 1


def test_nobody_there(delivery):
    with receiving() as receiver:
        url = receiver.url
    assert outcome(delivery, url) == (Problem.UNREACHABLE, "ConnectError", False)


@pytest.mark.threat("T8")
def test_an_address_of_the_own_network_is_not_even_connected_to(delivery, settings):
    settings.WEBHOOK_PRIVATE = False
    with receiving() as receiver:
        url = receiver.url.replace("http://127.0.0.1", "https://localhost")
        assert outcome(delivery, url) == (Problem.NOT_PUBLIC, "127.0.0.1", True)
    assert receiver.requests == []


def test_a_name_that_is_none(delivery, names):
    def find_nothing(_name):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    names.answer = find_nothing
    assert outcome(delivery, "https://nothing.example/") == (Problem.NO_SUCH_NAME, "nothing.example", False)


@pytest.mark.threat("T8")
def test_a_proxy_of_the_environment_is_not_used(delivery, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    with receiving() as receiver:
        send(delivery, receiver.url)
    assert len(receiver.requests) == 1


def test_nothing_set_up(delivery):
    assert outcome(delivery, "") == (Problem.NOT_SET_UP, "", True)


def test_the_receiver_of_the_documentation_works(delivery, tmp_path):
    """It takes an event once, and refuses what somebody else signed."""
    with receiving() as free:
        port = free.server.server_port
    [code] = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(), re.S)
    script, output = tmp_path / "hook.py", tmp_path / "output"
    script.write_text(code.replace("9000", str(port)))
    secret = webhook.secret_of(choice_for(""))
    with output.open("wb") as stream:
        environment = {**os.environ, "WEBHOOK_SECRET": secret}
        process = subprocess.Popen([sys.executable, str(script)], env=environment, stdout=stream, stderr=stream)
    url = f"http://127.0.0.1:{port}/"
    try:
        assert wait_until(lambda: outcome_or_none(delivery, url) is None)
        send(delivery, url)
        stranger = choice_for(url)
        stranger.webhook_nonce = "guessed"
        with pytest.raises(NotDelivered, match="answer"):
            webhook.send(delivery, stranger, timezone.now())
    finally:
        process.terminate()
        process.wait(10)
    assert output.read_text().count("Tuning My model succeeded") == 1


def outcome_or_none(delivery, url):
    try:
        send(delivery, url)
    except NotDelivered as error:
        return error.problem
    return None
