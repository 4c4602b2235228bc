"""What an empty chat proposes suits the model that would answer."""

import re
from html import unescape

import pytest
from django.contrib.staticfiles import finders

from console.presenters.chat.ideas import pictures
from tests.support import factories

pytestmark = pytest.mark.django_db
ANSWERS = "google/gemma3@gemma-3-1b-it"
COMPLETES = "google/gemma3@gemma-3-270m"
CHAT = "Explain to a six-year-old how a rainbow forms."
BEGINNING = "A rainbow forms when sunlight"


@pytest.fixture
def visitor(client, owner):
    client.force_login(owner)
    return client


def ideas(response):
    """What each button shows, and what it puts into the box."""
    part = response.content.decode().partition('id="composer-ideas"')[2]
    found = re.findall(r'data-composer-text-param="([^"]*)">([^<]*)</button>', part)
    return [(unescape(shown), unescape(text)) for text, shown in found]


def row(*texts, role="user"):
    return {
        "line": 1,
        "turns": [{"role": role, "text": text} for text in texts] + [{"role": "assistant", "text": "Arr"}],
    }


def tune_on(*rows, **values):
    dataset = factories.dataset(preview=list(rows), name="<b>Pirates", **values)
    job = factories.job(state="SUCCEEDED", phase="CLOSED", dataset=dataset)
    return factories.ready_endpoint(job=job, artifact_uri="gs://bucket/final")


def new_chat(visitor, endpoint):
    return visitor.get(f"/studio/chat/?endpoint={endpoint.pk}")


def talk(visitor, endpoint):
    return visitor.get(f"/studio/chat/{factories.conversation(endpoint=endpoint).pk}/")


@pytest.mark.parametrize("opened", [new_chat, talk])
@pytest.mark.parametrize(("base_model", "first"), [(ANSWERS, CHAT), (COMPLETES, BEGINNING), ("", CHAT)])
def test_a_base_model_gets_what_its_kind_can_do(visitor, opened, base_model, first):
    endpoint = factories.ready_endpoint(base_model=base_model)
    response = opened(visitor, endpoint)
    assert ideas(response)[0] == (first, first)
    assert ("It continues a text" in response.content.decode()) == (first == BEGINNING)


PICTURE = re.compile(r'data-composer-picture-param="/static/images/samples/([^"]+)"><img src="/static/images/samples/')


@pytest.mark.parametrize("opened", [new_chat, talk])
@pytest.mark.parametrize(
    ("base_model", "buttons", "pictures"),
    [
        ("samples/shapes@shapes-and-colours", 3, ["square-and-circle.png", "star.png", "two-triangles-and-star.png"]),
        ("google/gemma3@gemma-3-4b-it", 4, ["square-and-circle.png"]),
        (ANSWERS, 3, []),
    ],
)
def test_a_model_that_sees_gets_pictures(visitor, opened, base_model, buttons, pictures):
    page = opened(visitor, factories.ready_endpoint(base_model=base_model)).content.decode()
    part = page.partition('id="composer-ideas"')[2].partition("</div>")[0]
    assert (part.count("<button"), PICTURE.findall(part)) == (buttons, pictures)


def test_each_picture_is_there():
    assert [finders.find(idea.picture) is not None for idea in pictures()] == [True, True, True]


@pytest.mark.parametrize("opened", [new_chat, talk])
def test_a_tuned_model_gets_rows_of_its_training_data(visitor, opened):
    response = opened(visitor, tune_on(row("Where is\n<i>my</i> ship?"), row("Who are you?"), row("Who are you?")))
    assert ideas(response) == [("Where is <i>my</i> ship?", "Where is\n<i>my</i> ship?"), ("Who are you?",) * 2]
    text = response.content.decode()
    assert ("From its training data, <a" in text, "&lt;b&gt;Pirates</a>" in text, "<b>Pirates" in text) == (
        True,
        True,
        False,
    )


def test_long_rows_are_cut_where_they_are_shown_and_left_out_where_half_of_them_is_known(visitor):
    rows = [row("word " * 100), row("x" * 2000), *(row(f"Question {number}") for number in range(5))]
    found = ideas(new_chat(visitor, tune_on(*rows)))
    assert [len(shown) for shown, _ in found] == [120, 10, 10, 10]
    assert found[0][1] == "word " * 100


@pytest.mark.parametrize("rows", [[], [row("Be brief.", role="system")], [row("  ")]])
def test_without_a_question_in_its_data_it_is_as_for_any_chat(visitor, rows):
    assert ideas(new_chat(visitor, tune_on(*rows)))[0] == (CHAT, CHAT)


def test_rows_of_somebody_else_are_not_shown(visitor):
    endpoint = tune_on(row("A secret"), owner=factories.team_mate())
    assert ideas(new_chat(visitor, endpoint))[0] == (CHAT, CHAT)


def test_a_model_whose_data_were_deleted_is_as_any_chat(visitor):
    endpoint = tune_on(row("Gone"))
    type(endpoint.model.job).objects.filter(pk=endpoint.model.job_id).update(dataset=None)
    assert ideas(new_chat(visitor, endpoint))[0] == (CHAT, CHAT)


def test_a_chat_under_way_proposes_nothing(visitor):
    talk = factories.conversation()
    talk.head = factories.message(conversation=talk)
    talk.save()
    assert ideas(visitor.get(f"/studio/chat/{talk.pk}/")) == []
