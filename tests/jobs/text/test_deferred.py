import copy
import json

import pytest
from django.utils import translation

from jobs.models import EventLevel, TuningJob
from jobs.services.remote import row_claim
from jobs.services.tuning import jobs
from jobs.states import TuningState
from jobs.text.deferred import Sentence, gettext, join, ngettext, render, serialize
from jobs.vertex.errors import Unavailable
from tests.support import factories

CREATED = "The job was created."


def in_korean(value):
    with translation.override("ko"):
        return render(json.loads(json.dumps(serialize(value))))


def korean(text, **values):
    with translation.override("ko"):
        return translation.gettext(text) % values if values else translation.gettext(text)


def test_a_sentence_is_stored_in_no_language_and_rendered_in_the_readers():
    with translation.override("ko"):
        sentence = gettext("%(model)s was not deployed: %(reason)s") % {"model": "Ahab", "reason": gettext(CREATED)}
        assert sentence == korean("%(model)s was not deployed: %(reason)s", model="Ahab", reason=korean(CREATED))
    assert render(serialize(sentence)) == "Ahab was not deployed: The job was created."
    assert in_korean(sentence) == korean("%(model)s was not deployed: %(reason)s", model="Ahab", reason=korean(CREATED))


@pytest.mark.parametrize("count", [1, 3])
def test_numbers_choose_the_form(count):
    words = (
        "%d row was longer than the limit and was truncated.",
        "%d rows were longer than the limit and were truncated.",
    )
    sentence = ngettext(*words, count) % count
    assert (sentence, render(serialize(sentence))) == (words[count > 1] % count,) * 2
    with translation.override("ko"):
        assert render(serialize(sentence)) == translation.ngettext(*words, count) % count


def test_an_error_hands_its_sentence_on():
    error = Unavailable(gettext("Vertex AI is not responding: %s") % ValueError("50 % lost"))
    assert str(error) == "Vertex AI is not responding: 50 % lost"
    text = in_korean(gettext("Waiting for quota. %s") % error)
    assert text == korean("Waiting for quota. %s") % (korean("Vertex AI is not responding: %s") % "50 % lost")


def test_parts_are_rendered_each_in_the_language():
    sentence = join("Out of memory, Google says.", gettext(CREATED))
    assert sentence == f"Out of memory, Google says. {CREATED}"
    assert in_korean(sentence) == f"Out of memory, Google says. {korean(CREATED)}"


def test_labels_are_rendered_in_the_language():
    sentence = gettext("%s was undeployed.") % TuningState.RUNNING.label
    assert in_korean(sentence) == korean("%s was undeployed.") % korean("Running")


def test_what_is_no_sentence_stays_as_it_is():
    texts = [
        "100 %",
        '{"kind": broken',
        '{"kind": "tuning.job_created", "values": "x"}',
        '{"sentence": "%d rows", "values": "x"}',
    ]
    value = {"a": [*texts, None, 4], "b": ""}
    assert render(serialize(value)) == value


@pytest.mark.parametrize(
    "text",
    [
        '{"kind": "tuning.job_created"}',
        '{"kind":"Status","apiVersion":"v1","message":"no quota"}',
        '{"kind": ["not", "a text"]}',
        '{"kind": "", "as_it_is": "somebody else"}',
        '{"sentence": "The job was created."}',
        '{"sentence": ["not", "a text"]}',
        '{"sentence": "%(wide)99999999999d", "values": {"wide": 1}}',
        '{"sentence": "", "as_it_is": "somebody else"}',
    ],
)
def test_what_somebody_else_wrote_like_a_sentence_is_not_taken_for_one(text):
    assert render(serialize(text)) == text
    assert render(serialize(gettext("Vertex AI is not responding: %s") % text)).endswith(text)


def test_a_copy_is_the_same():
    sentence = ngettext("%d row", "%d rows", 2) % 2
    again = copy.deepcopy(sentence)
    assert (type(again), again, serialize(again)) == (Sentence, sentence, serialize(sentence))


def test_a_row_has_a_kind_and_facts():
    assert serialize(gettext("%s was undeployed.") % TuningState.RUNNING.label) == (
        '{"kind": "endpoints.undeployed", "values": "{\\"kind\\": \\"states.running\\"}"}'
    )
    words = (
        "%d row was longer than the limit and was truncated.",
        "%d rows were longer than the limit and were truncated.",
    )
    assert serialize(ngettext(*words, 2) % 2) == '{"kind": "tuning.row_longer_limit_cut", "values": 2, "number": 2}'


@pytest.mark.parametrize(
    "text",
    [
        '{"kind": broken', '{"kind": "nobody.says_it"}', '{"kind": ["not", "a text"]}', '{"kind":"Status","code":429}',
        '{"kind": "endpoints.undeployed", "values": ["too", "many"]}',
        '{"kind":' + 100_000 * "[",
    ],
)  # fmt: skip
def test_what_cannot_be_rendered_is_shown_as_it_is(text):
    assert render(text) == text


@pytest.mark.parametrize("value", [0, ""])
def test_an_empty_value_is_filled_in(value):
    sentence = gettext("Waiting for quota. %s") % value
    assert render(serialize(sentence)) == sentence
    assert in_korean(sentence) == korean("Waiting for quota. %s") % str(sentence).removeprefix("Waiting for quota. ")


def test_none_of_a_countable_thing():
    words = (
        "%d row was longer than the limit and was truncated.",
        "%d rows were longer than the limit and were truncated.",
    )
    assert render(serialize(ngettext(*words, 0) % 0)) == words[1] % 0


@pytest.mark.parametrize("text", ["This has no kind: %s", '{"kind": "tuning.job_created", "values": "%s"}'])
def test_a_sentence_without_a_kind_stays_the_text_that_was_read(text, caplog):
    with translation.override("ko"):
        stored = serialize(gettext(text) % TuningState.RUNNING.label)
    assert render(stored) == text % korean("Running")
    assert text in caplog.text


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
def test_events_of_the_services_are_stored_so():
    job = factories.job()
    jobs.request_cancel(job)
    with translation.override("ko"):
        assert [event.message for event in job.events.all()] == [korean("Cancelled before it was sent to Vertex AI.")]
