"""One thread for all answers of a process: with a database connection of its own, so on committed rows."""

import threading

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from jobs.services.chat.streaming import saver
from jobs.services.chat.streaming.saver import Keeper, Kept
from tests.jobs.services.chat.test_conversations_stop import wait_until
from tests.support import factories

pytestmark = pytest.mark.django_db(transaction=True)


class Answering:
    def __init__(self, text="Half an "):
        self.words, self.stops, self.tells = text, 0, 0

    @property
    def length(self):
        return len(self.words)

    def text(self):
        return self.words

    def tell(self):
        self.tells += 1

    def stop(self):
        self.stops += 1


def streaming():
    return factories.message(conversation=factories.conversation(), role="assistant", state="STREAMING")


def kept(*messages):
    """As the keeper has them a second and more after it saved them."""
    return {message.pk: Kept(Answering(), saved_at=-1000.0) for message in messages}


def look(found):
    with CaptureQueriesContext(connection) as queries:
        Keeper()._look(found)
    return [query["sql"].split()[0] for query in queries]


@pytest.mark.parametrize("count", [1, 5])
def test_it_reads_for_all_at_once_and_saves_in_one_transaction(count):
    messages, began = [streaming() for _ in range(count)], timezone.now()
    found = kept(*messages)
    assert look(found) == ["SELECT", "BEGIN", *["UPDATE"] * count, "COMMIT"]
    assert look(found) == ["SELECT"]
    assert [each.answering.tells for each in found.values()] == [1] * count
    for message in messages:
        message.refresh_from_db()
        assert (message.content, message.lease_until > began + saver.LEASE) == ("Half an ", True)


def test_nothing_new_is_not_saved_but_its_lease_is_renewed():
    message = streaming()
    found = kept(message)
    look(found)
    each = found[message.pk]
    each.saved_at -= saver.SAVE_SECONDS
    assert look(found) == ["SELECT"]
    each.saved_at -= saver.RENEW_SECONDS
    assert "UPDATE" in look(found)


@pytest.mark.parametrize(
    ("change", "stops"),
    [
        ({"stop_requested_at": timezone.now()}, 1),
        ({"state": "INTERRUPTED"}, 1),
        ({"content": "other"}, 0),
    ],
)
def test_who_is_stopped(change, stops):
    message = streaming()
    type(message).objects.filter(pk=message.pk).update(**change)
    found = kept(message)
    look(found)
    message.refresh_from_db()
    assert (found[message.pk].answering.stops, message.content == "Half an ") == (stops, not stops)


def test_an_answer_that_is_gone_is_stopped():
    message = streaming()
    found = kept(message)
    message.conversation.delete()
    look(found)
    assert [each.answering.stops for each in found.values()] == [1]


def test_an_answer_is_not_written_within_a_transaction_where_its_keeper_would_not_see_it():
    message = streaming()
    with (
        transaction.atomic(),
        pytest.raises(RuntimeError, match="within a transaction"),
        Keeper().keeping(message.pk, Answering()),
    ):
        pass


def test_its_one_thread_looks_after_all_of_them_again_and_again():
    keeper, messages = Keeper(), [streaming(), streaming()]
    type(messages[0]).objects.update(stop_requested_at=timezone.now())
    for message in messages:
        answering = Answering()
        with keeper.keeping(message.pk, answering):
            wait_until(lambda asked=answering: asked.stops >= 2)
    assert len([thread for thread in threading.enumerate() if thread is keeper._thread]) == 1
