"""A model that was scaled to zero drops the first questions: one that is asked for an answer waits for it."""

import threading
import time
from uuid import uuid4

import pytest
from django.db import connection

from jobs.services.chat import conversations
from jobs.services.chat.streaming import waits
from jobs.services.chat.streaming.answer import answer
from jobs.services.chat.streaming.waits import Backoff, pauses
from jobs.vertex.errors import COLD, Unavailable
from tests.jobs.services.chat.test_conversations import serve
from tests.support import factories

pytestmark = pytest.mark.django_db(transaction=True)
QUICK = Backoff(first=0.01, longest=0.02, total=0.1)
ASLEEP = Unavailable("The model was asleep and is starting.", COLD)


@pytest.fixture
def question(fake_gateway):
    endpoint = factories.ready_endpoint(min_replicas=0, serving_options={"idle_minutes": 5})
    serve(fake_gateway, endpoint)
    return conversations.ask(factories.conversation(endpoint=endpoint), key=uuid4(), text="Ahoy")


def test_the_question_is_asked_again_until_the_model_is_there(question, fake_gateway):
    fake_gateway.chat.script = [[ASLEEP], [ASLEEP], ["Arr."]]
    answer(question.pk, backoff=QUICK)
    question.refresh_from_db()
    assert (question.state, question.content, question.error_code) == ("COMPLETE", "Arr.", "")
    assert len({str(request.messages) for request in fake_gateway.chat.requests}) == 1
    assert len(fake_gateway.chat.requests) == 3


def test_one_that_never_comes_is_given_up(question, fake_gateway):
    fake_gateway.chat.script = [[ASLEEP]] * 50
    answer(question.pk, backoff=QUICK)
    question.refresh_from_db()
    assert (question.state, question.error_code) == ("FAILED", COLD)
    assert len(fake_gateway.chat.requests) == len(list(pauses(QUICK))) + 1


def test_other_troubles_and_half_an_answer_are_not_asked_again(question, fake_gateway):
    fake_gateway.chat.script = [["Half ", ASLEEP]]
    answer(question.pk, backoff=QUICK)
    question.refresh_from_db()
    assert (question.state, question.content, len(fake_gateway.chat.requests)) == ("INTERRUPTED", "Half ", 1)


def test_waiting_for_it_can_be_stopped(question, fake_gateway):
    fake_gateway.chat.script = [[ASLEEP]] * 50
    thread = threading.Thread(target=run, args=(question.pk,))
    thread.start()
    while not fake_gateway.chat.requests:
        assert thread.is_alive()
        time.sleep(0.01)
    conversations.request_stop(question)
    thread.join(10)
    question.refresh_from_db()
    assert (thread.is_alive(), question.state, len(fake_gateway.chat.requests)) == (False, "STOPPED", 1)


def run(pk):
    try:
        answer(pk, backoff=Backoff(first=60))
    finally:
        connection.close()


def test_pauses_grow_and_end():
    assert list(pauses(Backoff(4, 8, 20))) == [4, 6, 8, 8]
    assert sum(pauses(waits.BACKOFF)) < waits.LONGEST_START + waits.LONGEST_PAUSE
