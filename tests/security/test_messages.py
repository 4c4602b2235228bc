"""Somebody can write to the broker: what a message makes a worker do is no more than what a click does."""

import inspect
from uuid import uuid4

import pytest
from celery import current_app
from django.core.signing import Signer
from kombu.connection import Connection
from kombu.entity import Queue
from kombu.exceptions import ContentDisallowed
from kombu.utils import json

from jobs.models import Message
from jobs.services.chat import conversations
from jobs.services.chat.streaming import row as chat_row
from tests.support import factories

pytestmark = pytest.mark.threat("T16")
FROM_THE_CLOCK = {
    "catalogue.sync", "endpoints.measure", "endpoints.warn", "jobs.prune", "jobs.find_orphaned", "jobs.sweep",
    "status.probe", "inventory.sweep", "prices.sync",
}  # fmt: skip
OF_ONE_ROW = {
    "tuning.advance": ["job_id"], "endpoints.advance": ["endpoint_id"], "endpoints.advance_model": ["model_id"],
    "tuning.check_output": ["draft_id"], "datasets.count_tokens": ["dataset_id", "base_model", "draft_id"],
    "storage.list": ["listing_id"], "notifications.deliver": ["delivery_id"],
    "chat.answer": ["message_id", "rows"], "storage.list_output": ["job_id"], "takeaways.advance": ["takeaway_id"],
    "datasets.work": ["work_id"], "preflight.run": ["key"], "endpoints.report": ["endpoint_id", "kind"],
    "inventory.look": ["location"], "datasets.import": ["import_id"], "catalogue.import": ["import_id"],
    "memory.look": ["base_model", "user_id"],
}  # fmt: skip


class Opened:
    """Unpickled, it says so."""

    happened = False

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return (setattr, (Opened, "happened", True))


def test_a_message_that_would_run_code_is_not_opened() -> None:
    with Connection("memory://") as connection:
        channel = connection.channel()
        queue = Queue(f"forged-{uuid4()}", channel=channel)
        queue.declare()
        connection.Producer(channel).publish(Opened(), routing_key=queue.name, serializer="pickle")
        message = queue.get(accept=current_app.conf.accept_content)
        with pytest.raises(ContentDisallowed):
            message.decode()
    assert Opened.happened is False


def test_a_message_names_a_row_or_nothing() -> None:
    """So it can make a row's next step come sooner, and the row's state decides what that is."""
    own = {name: task for name, task in current_app.tasks.items() if not name.startswith("celery.")}
    arguments = {name: list(inspect.signature(task.run).parameters) for name, task in own.items()}
    assert arguments == {name: [] for name in FROM_THE_CLOCK} | OF_ONE_ROW


@pytest.fixture
def answer(db: None) -> Message:
    endpoint = factories.ready_endpoint()
    talk = factories.conversation(endpoint=endpoint)
    return conversations.ask(talk, key=uuid4(), text="My own question")


def others_question() -> Message:
    person = factories.stranger()
    talk = factories.conversation(owner=person, endpoint=factories.ready_endpoint(owner=person))
    return conversations.ask(talk, key=uuid4(), text="A secret of another person")


def forge_rows(answer: Message, **changes: str) -> str:
    columns = json.loads(Signer(salt=chat_row.SALT).unsign(chat_row.pack(answer)))
    return json.dumps({**columns, **{row: columns[row] | {"content": text} for row, text in changes.items()}})


@pytest.mark.parametrize("kind", ["unsigned", "wrongly signed", "of another answer", "as it was before", "a number"])
def test_rows_that_this_console_did_not_sign_for_this_answer_count_for_nothing(answer: Message, kind: str) -> None:
    content = forge_rows(answer, parent="Something else")
    forged = {
        "unsigned": content,
        "wrongly signed": Signer(key="guessed", salt=chat_row.SALT).sign(content),
        "of another answer": chat_row.pack(others_question()),
        "as it was before": json.loads(content),
        "a number": 7,
    }[kind]
    read = chat_row.unpack_or_read(answer.pk, forged)
    assert (read.pk, read.parent.content) == (answer.pk, "My own question")


def test_rows_that_it_signed_are_taken(answer: Message) -> None:
    assert chat_row.unpack_or_read(answer.pk, chat_row.pack(answer)).parent.content == "My own question"


@pytest.mark.django_db
@pytest.mark.parametrize("name", sorted(set(OF_ONE_ROW) - {"chat.answer", "memory.look"}))
def test_a_row_that_is_not_there_is_no_error(name: str, fake_gateway: object) -> None:
    current_app.tasks[name].run(str(uuid4()))


@pytest.mark.django_db
def test_nor_is_a_model_or_a_person_that_is_not_there(fake_gateway: object) -> None:
    current_app.tasks["memory.look"].run("nobody/nothing@x", 4711)
