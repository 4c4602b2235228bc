import json
import re
from uuid import uuid4

import pytest
from django.contrib.auth.models import User

from jobs.models import Conversation, Dataset
from tests.console.views.chat.test_conversations import HTMX, words
from tests.support import factories
from tests.support.markup import tight

pytestmark = pytest.mark.django_db
LIST = "/studio/chat/chats/"


@pytest.fixture
def visitor(client, owner):
    client.force_login(owner)
    return client


def talk(title, answer="", **values):
    made = factories.conversation(title=title, **values)
    factories.message(conversation=made, content=f"Say {answer}")
    if answer:
        factories.message(conversation=made, role="assistant", content=answer)
    return made


def chosen(*talks):
    return {"chat": [str(each.pk) for each in talks]}


def titles(response):
    return re.findall(
        r'<li><input type="hidden" name="chat" value="[^"]*"><a [^>]*>([^<]*)</a>', tight(words(response))
    )


def boxes(response):
    return words(response).count('name="chat"')


def test_only_the_page_of_all_chats_has_boxes_and_so_have_its_parts(visitor):
    talks = [talk(f"Chat {number}") for number in range(41)]
    page = visitor.get(LIST)
    (older,) = re.findall(r'hx-get="([^"]*after[^"]*)"', words(page).replace("&amp;", "&"))
    assert (boxes(page), boxes(visitor.get(older, **HTMX))) == (40, 1)
    assert boxes(visitor.get(f"{LIST}?q=Chat", **HTMX)) == 0
    assert boxes(visitor.get(f"{LIST}?q=Chat&ticks=yes", **HTMX)) == 40
    assert boxes(visitor.get(f"/studio/chat/{talks[0].pk}/")) == 0


def test_the_page_says_who_answered_and_when(visitor):
    endpoint = factories.ready_endpoint(display_name="Captain")
    made = talk("With the captain", endpoint=endpoint)
    for page, said in ((LIST, 1), (f"{LIST}?q=captain", 1), (f"/studio/chat/{made.pk}/", 0)):
        assert words(visitor.get(page)).count("Captain · ") == said


def test_those_that_were_ticked_are_named_and_then_deleted(visitor):
    kept, *gone = talk("Kept"), talk("One"), talk("Two")
    assert titles(visitor.get(f"{LIST}delete/", chosen(*gone))) == ["One", "Two"]
    assert Conversation.objects.count() == 3
    answer = visitor.post(f"{LIST}delete/", chosen(*gone), follow=True)
    assert (list(Conversation.objects.all()), "2 chats deleted" in words(answer)) == ([kept], True)
    again = visitor.post(f"{LIST}delete/", chosen(*gone), follow=True)
    assert "These chats were already deleted" in words(again)


def test_the_chats_of_others_and_columns_are_not_chosen(visitor):
    theirs = talk("Theirs", owner=User.objects.create(username="other"))
    column = talk("Column", comparison=factories.comparison())
    for rest in ("delete/", "dataset/", "training.jsonl"):
        page = visitor.get(LIST + rest, {"chat": [str(theirs.pk), str(column.pk), "x", ""]})
        assert "Select chats in the list first." in words(page)
    visitor.post(f"{LIST}delete/", chosen(theirs, column))
    assert Conversation.objects.count() == 2


@pytest.mark.parametrize("rest", ["delete/", "dataset/", "training.jsonl"])
def test_more_than_a_hundred_are_refused_and_not_cut(visitor, rest):
    page = visitor.get(LIST + rest, {"chat": [str(talk("One").pk), *(str(uuid4()) for _ in range(100))]})
    assert (page.status_code, "You can select at most 100 chats." in words(page)) == (409, True)


def test_their_answers_are_exported(visitor):
    answer = visitor.get(f"{LIST}training.jsonl", chosen(talk("One", "Ahoy"), talk("Two"), talk("Three", "Arr")))
    rows = [json.loads(line) for line in answer.getvalue().decode().splitlines()]
    assert [row["messages"][-1]["content"] for row in rows] == ["Ahoy", "Arr"]
    assert answer["Content-Disposition"].startswith('attachment; filename="chats-')
    assert visitor.get(f"{LIST}training.jsonl", chosen(talk("Two"))).status_code == 409


def test_a_dataset_is_made_of_them(visitor):
    talks = [talk("One", "Ahoy"), talk("Two", "Arr")]
    assert f'href="{LIST}dataset/?chat={talks[0].pk}"' in words(visitor.get(f"/studio/chat/{talks[0].pk}/"))
    page = words(visitor.get(f"{LIST}dataset/", chosen(*talks)))
    (key,) = re.findall(r'name="key" value="([^"]*)"', page)
    answer = visitor.post(f"{LIST}dataset/", {**chosen(*talks), "key": key, "name": "Voyage"}, follow=True)
    made = Dataset.objects.get()
    assert (made.name, made.valid_rows, answer.redirect_chain) == ("Voyage", 2, [(f"/datasets/{made.pk}/", 303)])
    assert "The answers are in “Voyage”, version 1." in words(answer)
    visitor.post(f"{LIST}dataset/", {**chosen(*talks), "key": key, "name": "Voyage"})
    assert Dataset.objects.count() == 1


@pytest.mark.parametrize(
    ("name", "answer", "reason"),
    [
        ("", "Ahoy", "Enter a name."),
        ("Voyage", "", "No question in these chats has an answer that a model can learn from."),
    ],
)
def test_what_cannot_become_a_dataset_is_kept_with_the_reason(visitor, name, answer, reason):
    posted = {**chosen(talk("One", answer)), "key": str(uuid4()), "name": name}
    page = visitor.post(f"{LIST}dataset/", posted)
    assert (page.status_code, reason in words(page), titles(page)) == (422, True, ["One"])
    assert Dataset.objects.count() == 0
