from uuid import uuid4

import pytest

from jobs.models import Message
from jobs.services.chat import conversations, tree
from jobs.services.chat.streaming import row as chat_row
from jobs.services.chat.streaming.answer import request_for
from tests.support import factories

pytestmark = pytest.mark.django_db
SEES = "google/gemma3@gemma-3-4b-it"


def first():
    talk = factories.conversation(
        endpoint=factories.ready_endpoint(base_model=SEES), system_instruction="Be brief.",
        parameters={"temperature": 0.5, "stop": ["\n"]},
    )  # fmt: skip
    return conversations.ask(talk, key=uuid4(), text="Ahoy “there”", pictures=[factories.picture(owner=talk.owner)])


def later():
    answer = first()
    Message.objects.filter(pk=answer.pk).update(state="COMPLETE", content="Ahoy")
    return conversations.ask(answer.conversation, key=uuid4(), text="And now?")


def regenerated():
    answer = first()
    Message.objects.filter(pk=answer.pk).update(state="COMPLETE", content="Ahoy")
    return tree.regenerate(answer, key=uuid4())


def continued():
    answer = first()
    Message.objects.filter(pk=answer.pk).update(state="COMPLETE", content="Ahoy", finish_reason="length")
    return tree.go_on(answer, key=uuid4())


@pytest.mark.parametrize("made", [first, later, regenerated, continued])
def test_the_rows_that_travel_say_what_would_be_read(made, django_assert_num_queries):
    answer = made()
    sent = chat_row.pack(answer)
    with django_assert_num_queries(0):
        got = chat_row.unpack(answer.pk, sent)
    read = chat_row.read(answer.pk)
    assert request_for(got) == request_for(read)
    for name in ("", "conversation", "parent", "endpoint"):
        one, other = (getattr(row, name) if name else row for row in (got, read))
        assert (one, one.get_deferred_fields()) == (other, other.get_deferred_fields())
        for column in chat_row.COLUMNS[name]:
            assert getattr(one, column) == getattr(other, column)


def test_packing_a_message_that_was_just_sent_reads_nothing(django_assert_num_queries):
    answer = first()
    with django_assert_num_queries(0):
        chat_row.pack(answer)


def test_an_endpoint_that_is_gone_is_none():
    answer = first()
    answer.endpoint = None
    assert chat_row.unpack(answer.pk, chat_row.pack(answer)).endpoint is None
