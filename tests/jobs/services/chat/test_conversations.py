from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from jobs import errors
from jobs.models import Conversation, Message
from jobs.services.chat import conversation_list, conversations, policies, tree
from jobs.services.comparisons import comparisons
from jobs.vertex.errors import Unavailable
from jobs.vertex.values import ChatChunk, RemoteDeployedModel, RemoteEndpoint
from tests.fakes import Crash
from tests.support import factories

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def conversation(db, fake_gateway):
    endpoint = factories.ready_endpoint()
    serve(fake_gateway, endpoint)
    return factories.conversation(endpoint=endpoint, title="")


@pytest.fixture
def frames(settings, redis_url, broker):
    """What the page of an answer is sent."""
    settings.REDIS_URL = redis_url

    def read(answer):
        entries = broker.xrange(f"live:chat:{answer.pk}")
        return [{name.decode(): value.decode() for name, value in fields.items()} for _entry_id, fields in entries]

    return read


def serve(gateway, endpoint):
    model = RemoteDeployedModel("4711", "projects/p/locations/l/models/m", "m", 1)
    gateway.deployment.endpoints[endpoint.resource_name] = RemoteEndpoint(
        endpoint.resource_name, endpoint.display_name, {}, "dns", (model,)
    )


def answered(conversation, text="Ahoy there"):
    answer = conversations.ask(conversation, key=uuid4(), text=text)
    conversations.answer(answer.pk)
    answer.refresh_from_db()
    return answer


def test_a_question_gets_its_answer(conversation, frames):
    answer = answered(conversation)
    assert (answer.state, answer.content, answer.finish_reason) == ("COMPLETE", "Ahoy there ", "stop")
    assert (answer.html, answer.usage) == (
        "<p>Ahoy there</p>\n", {"prompt_tokens": 2, "completion_tokens": 2},
    )  # fmt: skip
    assert sorted(answer.timings) == ["first_token", "total"]
    assert frames(answer)[-1] == {"event": "end", "data": ""}


def test_the_first_question_names_the_conversation(conversation):
    answered(conversation, "  How many legs\n does a bird have? " + "x" * 80)
    assert conversation.title == "How many legs does a bird have?…"


def test_the_frames_are_partials_for_this_answer(conversation, frames):
    answer = answered(conversation, "Ahoy")
    tail = f"#reply-{answer.pk}-tail"
    assert frames(answer)[0] == {
        "draft": f'<hx-partial hx-target="{tail}" hx-swap="innerMorph"><p>Ahoy</p>\n</hx-partial>',
        "said": "Ahoy ",
        "at": "0",
    }


def test_what_is_asked_holds_the_whole_conversation(conversation, fake_gateway):
    conversations.set_options(conversation, system_instruction="Be short.", parameters={"temperature": 0.5})
    fake_gateway.chat.script = [["One."], [Unavailable("Down.")], ["Three."]]
    for text in ("First", "Second", "Third"):
        answered(conversation, text)
    asked = fake_gateway.chat.requests[-1]
    assert asked.messages == [
        {"role": "system", "content": "Be short."}, {"role": "user", "content": "First"},
        {"role": "assistant", "content": "One."}, {"role": "user", "content": "Third"},
    ]  # fmt: skip
    assert (asked.parameters, asked.dedicated_dns) == ({"temperature": 0.5}, conversation.endpoint.dedicated_dns)


def test_the_same_key_is_the_same_answer(conversation):
    key = uuid4()
    assert conversations.ask(conversation, key=key, text="Ahoy") == conversations.ask(
        conversation, key=key, text="Ahoy"
    )
    assert Message.objects.count() == 2


@pytest.mark.parametrize(
    ("state", "sentence"),
    [
        ("DEPLOYING", "The endpoint Base model is deploying. Send your message when it's ready."),
        ("DELETED", "The endpoint of this conversation was deleted. Start a new chat with another one."),
    ],
)
def test_only_a_ready_endpoint_is_asked(conversation, state, sentence):
    type(conversation.endpoint).objects.update(state=state, display_name="Base model")
    with pytest.raises(errors.NotAllowedNow, match=sentence):
        conversations.ask(conversation, key=uuid4(), text="Ahoy")


def test_one_answer_at_a_time(conversation):
    conversations.ask(conversation, key=uuid4(), text="Ahoy")
    with pytest.raises(errors.NotAllowedNow):
        conversations.ask(conversation, key=uuid4(), text="And?")


def test_nothing_is_no_question(conversation):
    with pytest.raises(errors.NotAllowedNow):
        conversations.ask(conversation, key=uuid4(), text=" \n\x00")


def test_an_error_in_the_middle_keeps_the_text(conversation, fake_gateway):
    fake_gateway.chat.script = [["Half an ", Unavailable("Vertex AI does not answer.")]]
    answer = answered(conversation)
    assert (answer.state, answer.content, answer.html) == ("INTERRUPTED", "Half an ", "<p>Half an</p>\n")
    assert answer.error_message == "Vertex AI does not answer."
    assert answer.error_code == "UNKNOWN"


def test_an_unforeseen_error_says_so(conversation, fake_gateway):
    fake_gateway.chat.script = [[KeyError("odd")]]
    assert answered(conversation).error_message.startswith("The console failed while receiving the answer.")


def test_an_answer_is_produced_once(conversation, fake_gateway):
    answer = answered(conversation)
    conversations.answer(answer.pk)
    assert len(fake_gateway.chat.requests) == 1


def test_a_waiting_answer_stops_at_once(conversation, fake_gateway):
    answer = conversations.ask(conversation, key=uuid4(), text="Ahoy")
    conversations.request_stop(answer)
    conversations.answer(answer.pk)
    assert (answer.state, fake_gateway.chat.requests) == ("STOPPED", [])


def statements(queries):
    return [
        words for query in queries.captured_queries if (words := query["sql"].split()[0]) not in ("BEGIN", "COMMIT")
    ]


def test_few_queries_stand_between_a_message_and_its_first_word(conversation, fake_gateway):
    before, asked = [], []
    with CaptureQueriesContext(connection) as queries:
        enqueue = lambda _answer: asked.extend(statements(queries))  # noqa: E731
        answer = conversations.ask(conversation, key=uuid4(), text="Ahoy", enqueue=enqueue)
        assert asked == ["SELECT", "UPDATE", "UPDATE", "SELECT", "INSERT"]
    with CaptureQueriesContext(connection) as queries:
        fake_gateway.during("chat._open", lambda: before.extend(statements(queries)))
        conversations.answer(answer.pk)
        assert before == ["UPDATE", "SELECT"]


def test_with_its_rows_nothing_is_read_before_the_endpoint_is_asked(conversation, fake_gateway):
    for expected in (["UPDATE"], ["UPDATE", "SELECT"]):
        before: list[Any] = []
        answer = conversations.ask(conversation, key=uuid4(), text="Ahoy there")
        rows = conversations.pack(answer)
        with CaptureQueriesContext(connection) as queries:
            fake_gateway.during("chat._open", lambda before=before, now=queries: before.extend(statements(now)))
            conversations.answer(answer.pk, rows)
        answer.refresh_from_db()
        assert (before, answer.state, answer.content) == (expected, "COMPLETE", "Ahoy there ")


@pytest.mark.parametrize("change", ["draft", "endpoint", "title"])
def test_a_conversation_that_changed_since_it_was_read_is_read_again(conversation, fake_gateway, change):
    other = factories.ready_endpoint(display_name="Other", owner=conversation.owner)
    read = Conversation.objects.select_related("endpoint").get(pk=conversation.pk)
    if change == "endpoint":
        conversations.choose_endpoint(conversation, other)
    elif change == "title":
        conversation_list.rename(conversation, "Changed")
    else:
        conversations.keep_draft(conversation, "Changed", uuid4())
    answer = conversations.ask(read, key=uuid4(), text="Ahoy")
    conversation.refresh_from_db()
    assert answer.endpoint == conversation.endpoint == (other if change == "endpoint" else read.endpoint)
    assert (conversation.title, conversation.draft) == ("Changed" if change == "title" else "Ahoy", "")


def test_queries_do_not_grow_with_the_tokens(conversation, fake_gateway):
    counts = []
    for words in (10, 3000):
        fake_gateway.chat.script = [["word "] * words]
        answer = conversations.ask(conversation, key=uuid4(), text="Ahoy")
        with CaptureQueriesContext(connection) as queries:
            conversations.answer(answer.pk)
        counts.append(len(queries))
    assert counts[1] <= counts[0] + 4


def test_the_death_of_the_worker_leaves_what_came(conversation, fake_gateway):
    fake_gateway.chat.script = [["Half ", Crash("died")]]
    answer = conversations.ask(conversation, key=uuid4(), text="Ahoy")
    with pytest.raises(Crash):
        conversations.answer(answer.pk)
    conversations.interrupt_stale(timezone.now())
    assert Message.objects.get(pk=answer.pk).state == "STREAMING"
    conversations.interrupt_stale(timezone.now() + timedelta(seconds=91))
    answer.refresh_from_db()
    assert answer.state == "INTERRUPTED"
    assert answer.error_message.startswith("The answer was cut off because the console stopped")


def test_an_interrupted_answer_is_not_finished_by_a_late_worker(conversation, fake_gateway):
    answer = conversations.ask(conversation, key=uuid4(), text="Ahoy")
    fake_gateway.during("chat._open", lambda: conversations.interrupt_stale(timezone.now() + timedelta(seconds=91)))
    conversations.answer(answer.pk)
    answer.refresh_from_db()
    assert answer.state == "INTERRUPTED"


def test_lost_messages_are_found(conversation):
    answer = conversations.ask(conversation, key=uuid4(), text="Ahoy")
    assert conversations.due(timezone.now()) == []
    assert conversations.due(timezone.now() + timedelta(seconds=3)) == [answer.pk]


def test_a_message_is_sent_again_less_and_less_often(conversation):
    """A sweep each two seconds for two minutes, while the queue is full and nobody takes the answer."""
    answer = conversations.ask(conversation, key=uuid4(), text="Ahoy")
    named = [age for age in range(0, 120, 2) if conversations.due(answer.created_at + timedelta(seconds=age))]
    assert named == [2, 4, 8, 16, 32, 52, 72, 92, 112]


def test_an_answer_that_was_named_again_is_given_once(conversation, fake_gateway):
    answer = conversations.ask(conversation, key=uuid4(), text="Ahoy")
    conversations.due(timezone.now() + timedelta(seconds=3))
    for _ in range(2):
        conversations.answer(answer.pk)
    answer.refresh_from_db()
    assert (answer.state, answer.lease_until, len(fake_gateway.chat.requests)) == ("COMPLETE", None, 1)


def test_an_endless_answer_is_cut(conversation, fake_gateway):
    fake_gateway.chat.script = [[ChatChunk(text="x" * 120_000)] * 5]
    answer = answered(conversation)
    assert (answer.state, answer.finish_reason, len(answer.content)) == ("COMPLETE", "length", 240_000)


def test_what_was_only_set_up_is_forgotten_after_a_week(owner):
    now = timezone.now()
    endpoint = factories.ready_endpoint()
    old, typed, fresh = (conversations.set_up(owner, endpoint=endpoint, text=text) for text in ("", "Half", ""))
    said = factories.conversation(endpoint=endpoint)
    Conversation.objects.exclude(pk=fresh.pk).update(updated_at=now - timedelta(days=8))
    conversations.forget_bare(now)
    assert set(Conversation.objects.all()) == {typed, fresh, said}


@pytest.mark.threat("T9")
def test_one_person_does_not_take_every_thread_that_writes_answers(owner, team_mate):
    """Each may be held for a quarter of an hour, and the queue is first come, first served."""
    mine, theirs = factories.ready_endpoint(owner=owner), factories.ready_endpoint(owner=team_mate)
    asked = [
        conversations.ask(conversations.start(owner, endpoint=mine), key=uuid4(), text="Ahoy")
        for _ in range(policies.ANSWERS_AT_ONCE)
    ]
    one_more = conversations.start(owner, endpoint=mine)
    with pytest.raises(errors.NotAllowedNow, match="^You have 16 answers in progress"):
        conversations.ask(one_more, key=uuid4(), text="Ahoy")
    assert (one_more.messages.count(), Message.objects.live().count()) == (0, policies.ANSWERS_AT_ONCE)
    conversations.ask(conversations.start(team_mate, endpoint=theirs), key=uuid4(), text="Ahoy")
    conversations.request_stop(asked[0])
    assert conversations.ask(one_more, key=uuid4(), text="Ahoy").state == "WAITING"


@pytest.mark.threat("T9")
@pytest.mark.parametrize("again", ["regenerate", "edit", "go_on", "compare"])
def test_every_way_to_an_answer_is_counted(owner, again):
    endpoint = factories.ready_endpoint(owner=owner)
    talk = factories.conversation(owner=owner, endpoint=endpoint)
    question = factories.message(conversation=talk, role="user", content="Ahoy", ordinal=1)
    answer = factories.message(
        conversation=talk, role="assistant", state="COMPLETE", content="A", ordinal=2, parent=question,
        finish_reason="length",
    )  # fmt: skip
    comparison = factories.comparison(owner=owner)
    for column in range(4):
        factories.conversation(owner=owner, endpoint=endpoint, comparison=comparison, column=column)
    fill(owner, policies.ANSWERS_AT_ONCE - (3 if again == "compare" else 0))
    ways = {
        "regenerate": lambda: tree.regenerate(answer, key=uuid4()),
        "edit": lambda: tree.edit(question, key=uuid4(), text="Ho"),
        "go_on": lambda: tree.go_on(answer, key=uuid4()),
        "compare": lambda: comparisons.send(comparison, key=uuid4(), text="Ahoy"),
    }
    before = Message.objects.count()
    with pytest.raises(errors.NotAllowedNow, match="answers in progress"):
        ways[again]()
    assert Message.objects.count() == before


def fill(owner, count):
    endpoint = factories.ready_endpoint(owner=owner)
    for _ in range(count):
        conversations.ask(conversations.start(owner, endpoint=endpoint), key=uuid4(), text="Ahoy")


def test_a_comparison_fits_beside_other_answers(owner):
    endpoint, comparison = factories.ready_endpoint(owner=owner), factories.comparison(owner=owner)
    for column in range(4):
        factories.conversation(owner=owner, endpoint=endpoint, comparison=comparison, column=column)
    fill(owner, policies.ANSWERS_AT_ONCE - 4)
    assert len(comparisons.send(comparison, key=uuid4(), text="Ahoy")) == 4
