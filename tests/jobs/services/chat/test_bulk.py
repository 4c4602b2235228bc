import json
from uuid import uuid4

import pytest

from jobs import errors
from jobs.models import Conversation, Dataset
from jobs.services.chat import bulk, shared_links
from jobs.services.chat.ratings import rate
from tests.support import factories
from tests.support.stored import path_of

pytestmark = pytest.mark.django_db


def talk(*answers, **values):
    made = factories.conversation(**values)
    for answer in answers:
        factories.message(conversation=made, content=f"Say {answer}")
        factories.message(conversation=made, role="assistant", content=answer)
    return made


def learnt(dataset):
    return [json.loads(line)["messages"][-1]["content"] for line in path_of(dataset).read_text().splitlines()]


def test_each_answer_of_each_chat_is_a_row(owner):
    chats = [talk("Ahoy", "Arr"), talk(), talk("Aye", system_instruction="Be brief.")]
    dataset = bulk.make_dataset(owner, chats, key=uuid4(), name="Voyage")
    assert (dataset.name, dataset.version, dataset.is_usable) == ("Voyage", 1, True)
    assert (learnt(dataset), dataset.notes) == (["Ahoy", "Arr", "Aye"], ["Created from the answers in 2 chats."])


def test_a_name_in_use_gets_a_version_and_the_same_form_none(owner):
    key = uuid4()
    first = bulk.make_dataset(owner, [talk("Ahoy")], key=uuid4(), name="Voyage")
    second = bulk.make_dataset(owner, [talk("Arr")], key=key, name="Voyage")
    assert bulk.make_dataset(owner, [talk("Aye")], key=key, name="Other") == second
    assert (second.family, second.version, learnt(second)) == (first.family, 2, ["Arr"])
    assert Dataset.objects.count() == 2


def test_of_two_at_the_same_moment_one_is_kept(owner):
    key, made = uuid4(), list[Dataset]()

    class Overtaken(list[Conversation]):
        def __iter__(self):
            made.append(bulk.make_dataset(owner, list(super().__iter__()), key=key, name="Voyage"))
            return super().__iter__()

    assert bulk.make_dataset(owner, Overtaken([talk("Ahoy")]), key=key, name="Voyage") == made[0]
    assert Dataset.objects.get() == made[0]
    assert [path for path in path_of(made[0]).parent.iterdir() if path.is_file()] == [path_of(made[0])]


def test_of_the_good_ones_alone_what_was_said_before_is_kept(owner):
    chats = [talk("Ahoy", "Arr"), talk("Aye")]
    rate(chats[0].head, "good")
    rate(chats[1].head, "bad")
    (row,) = bulk.training_rows(chats, only_good=True)
    assert [turn["content"] for turn in json.loads(row)["messages"]] == ["Say Ahoy", "Ahoy", "Say Arr", "Arr"]
    assert bulk.make_dataset(owner, chats, key=uuid4(), name="Good", only_good=True).valid_rows == 1
    with pytest.raises(errors.NotAllowedNow, match="rated as good"):
        bulk.make_dataset(owner, chats[1:], key=uuid4(), name="Good", only_good=True)


def test_without_an_answer_to_learn_from_there_is_no_dataset(owner):
    pictured = factories.conversation()
    factories.picture(message=factories.message(conversation=pictured))
    factories.message(conversation=pictured, role="assistant", content="A ship")
    with pytest.raises(errors.NotAllowedNow):
        bulk.make_dataset(owner, [talk(), pictured], key=uuid4(), name="Voyage")
    assert Dataset.objects.count() == 0


def test_chats_are_deleted_with_their_links(owner):
    kept, *gone = talk("Ahoy"), talk("Arr"), talk("Aye")
    link, _token = shared_links.share(gone[0])
    bulk.delete(gone)
    assert list(Conversation.objects.all()) == [kept]
    assert not type(link).objects.exists()
