import copy
import json

import pytest
from django.utils import translation

from jobs.models import EventLevel, TuningJob
from jobs.services.remote import row_claim
from jobs.services.tuning import jobs
from jobs.states import TuningState
from jobs.text.deferred import Sentence, gettext, joined, kept, ngettext, told
from jobs.vertex.errors import Unavailable
from tests.support import factories

CREATED = "The job was created."


def in_korean(value):
    with translation.override("ko"):
        return told(json.loads(json.dumps(kept(value))))


def korean(text, **values):
    with translation.override("ko"):
        return translation.gettext(text) % values if values else translation.gettext(text)


def test_a_sentence_is_kept_in_no_language_and_told_in_the_readers():
    with translation.override("ko"):
        sentence = gettext("%(model)s was not deployed: %(reason)s") % {"model": "Ahab", "reason": gettext(CREATED)}
        assert sentence == korean("%(model)s was not deployed: %(reason)s", model="Ahab", reason=korean(CREATED))
    assert told(kept(sentence)) == "Ahab was not deployed: The job was created."
    assert in_korean(sentence) == korean("%(model)s was not deployed: %(reason)s", model="Ahab", reason=korean(CREATED))


@pytest.mark.parametrize("count", [1, 3])
def test_numbers_choose_the_form(count):
    words = (
        "%d row was longer than the limit and was truncated.",
        "%d rows were longer than the limit and were truncated.",
    )
    sentence = ngettext(*words, count) % count
    assert (sentence, told(kept(sentence))) == (words[count > 1] % count,) * 2
    with translation.override("ko"):
        assert told(kept(sentence)) == translation.ngettext(*words, count) % count


def test_an_error_hands_its_sentence_on():
    error = Unavailable(gettext("Vertex AI is not responding: %s") % ValueError("50 % lost"))
    assert str(error) == "Vertex AI is not responding: 50 % lost"
    text = in_korean(gettext("Waiting for quota. %s") % error)
    assert text == korean("Waiting for quota. %s") % (korean("Vertex AI is not responding: %s") % "50 % lost")


def test_parts_are_told_each_in_the_language():
    sentence = joined("Out of memory, Google says.", gettext(CREATED))
    assert sentence == f"Out of memory, Google says. {CREATED}"
    assert in_korean(sentence) == f"Out of memory, Google says. {korean(CREATED)}"


def test_labels_are_told_in_the_language():
    sentence = gettext("%s was undeployed.") % TuningState.RUNNING.label
    assert in_korean(sentence) == korean("%s was undeployed.") % korean("Running")


def test_what_is_no_sentence_stays_as_it_is():
    value = {"a": ["100 %", '{"sentence": broken', '{"sentence": "%d rows", "values": "x"}', None, 4], "b": ""}
    assert told(kept(value)) == value


@pytest.mark.parametrize(
    "text",
    [
        '{"sentence": "The job was created."}',
        '{"sentence": ["not", "a text"]}',
        '{"sentence": "%(wide)99999999999d", "values": {"wide": 1}}',
        '{"sentence": "", "as_it_is": "somebody else"}',
    ],
)
def test_what_somebody_else_wrote_like_a_sentence_is_not_taken_for_one(text):
    assert told(kept(text)) == text
    assert told(kept(gettext("Vertex AI is not responding: %s") % text)).endswith(text)


def test_a_copy_is_the_same():
    sentence = ngettext("%d row", "%d rows", 2) % 2
    again = copy.deepcopy(sentence)
    assert (type(again), again, kept(again)) == (Sentence, sentence, kept(sentence))


@pytest.mark.django_db
def test_rows_are_read_in_the_language_of_the_reader():
    job = factories.job()
    row_claim.record(job, EventLevel.INFO, gettext(CREATED))
    TuningJob.objects.update(notice=gettext("Waiting for quota. %s") % "8 cards")
    assert (job.events.get().message, TuningJob.objects.get().notice) == (CREATED, "Waiting for quota. 8 cards")
    with translation.override("ko"):
        assert job.events.get().message == korean(CREATED)
        assert TuningJob.objects.get().notice == korean("Waiting for quota. %s") % "8 cards"


@pytest.mark.django_db
def test_events_of_the_services_are_kept_so():
    job = factories.job()
    jobs.request_cancel(job)
    with translation.override("ko"):
        assert [event.message for event in job.events.all()] == [korean("Cancelled before it was sent to Vertex AI.")]
