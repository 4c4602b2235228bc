"""An answer in the words of the person who reads it."""

import uuid

import pytest

from jobs.models import Endpoint, Message
from tests.console.views.chat.test_conversations import HTMX, answered, turn_url, url, words
from tests.console.views.chat.test_tree import shared
from tests.support import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def visitor(client, owner):
    client.force_login(owner)
    return client


def save(visitor, answer, text="Arr, **matey**!", headers=HTMX, **values):
    data = {"key": uuid.uuid4(), "text": text, **values}
    return visitor.post(turn_url(answer, "edit/"), data, **headers)


def test_it_is_edited_in_its_place(visitor):
    answer = answered()
    text = words(visitor.get(turn_url(answer, "edit/"), **HTMX))
    begin = f'<article class="turn model editing" id="turn-{answer.pk}" hx-morph-skip>'
    assert (text.startswith(begin), ">Arr</textarea>" in text, "Save and continue" in text) == (True, True, True)


def test_the_new_version_is_shown_as_a_person_s_without_figures(visitor):
    answer = answered(usage={"completion_tokens": 5})
    text = words(save(visitor, answer))
    new = ("<strong>matey</strong>", "Edited by you", "Your version of the answer is saved", "Version 2 of 2")
    assert [part for part in new if part not in text] == []
    assert ("first token" in text, "tokens out" in text) == (False, False)


def test_the_model_goes_on_from_there(visitor):
    text = words(save(visitor, answered(), continues="yes"))
    assert ('aria-busy="true"' in text, "<strong>matey</strong>" in text) == (True, True)
    assert Message.objects.last().state == "WAITING"


def test_figures_of_what_the_model_added_are_its_own(visitor):
    """Without a count there is none: the text is not its alone, so its length says nothing."""
    answer = answered(is_edited=True, timings={"first_token": 0.5, "total": 1})
    text = words(visitor.get(url(answer.conversation)))
    said = ("first token 0.50 s", "tokens/s unknown", "token out", "Edited by you")
    assert [part for part in said if part in text] == ["first token 0.50 s", "tokens/s unknown", "Edited by you"]


def test_without_a_script_it_is_edited_on_the_page(visitor):
    answer = answered()
    text = words(visitor.get(turn_url(answer, "edit/")))
    assert ("<html" in text, ">Arr</textarea>" in text, "Save and continue" in text) == (True, True, True)
    response = save(visitor, answer, headers={})
    assert response.url == f"{url(answer.conversation)}#turn-{Message.objects.last().pk}"


def test_where_the_endpoint_is_gone_it_can_still_be_saved(visitor):
    answer = answered()
    Endpoint.objects.update(state="UNDEPLOYED")
    text = words(visitor.get(turn_url(answer, "edit/"), **HTMX))
    assert ("Save and continue" in text, save(visitor, answer).status_code) == (False, 200)


@pytest.mark.parametrize("headers", [{}, HTMX])
@pytest.mark.parametrize(
    ("text", "reason"),
    [("  ", "Enter an answer"), ("a" * 200_001, "An answer has at most 200000 characters; this one has 200001")],
)
def test_what_cannot_be_saved_says_why_and_keeps_the_text(visitor, text, reason, headers):
    response = save(visitor, answered(), text, headers)
    page = response.content.decode()
    assert (response.status_code, reason in page, f">{text}</textarea>" in page) == (422, True, True)


def test_it_may_be_longer_than_a_question(visitor):
    assert save(visitor, answered(), "a" * 200_000).status_code == 200


def test_an_answer_of_a_comparison_has_no_such_form(visitor):
    answer = answered(factories.conversation(comparison=factories.comparison()))
    assert visitor.get(turn_url(answer, "edit/")).status_code == 404


def test_a_link_says_that_a_person_wrote_it(visitor):
    answer = answered(is_edited=True)
    assert "Edited by a person" in words(visitor.get(shared(visitor, answer.conversation)))


def test_files_say_so_too(visitor):
    answer = answered(is_edited=True, answered_by="Pirate")
    file = visitor.get(url(answer.conversation, "export.md")).content.decode()
    document = visitor.get(url(answer.conversation, "export.json")).json()
    assert ("## Pirate (edited)" in file, [turn.get("is_edited") for turn in document["messages"]]) == (
        True,
        [None, True],
    )
