from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from jobs.models import Conversation
from jobs.services.chat import conversation_list
from tests.support import factories

pytestmark = pytest.mark.django_db


def titles(page):
    return [row.title for row in page.pinned], [row.title for row in page.rows]


def talk(title, hours=0, *said, **values):
    made = factories.conversation(title=title, **values)
    for text in said:
        factories.message(conversation=made, content=text)
    Conversation.objects.filter(pk=made.pk).update(updated_at=timezone.now() - timedelta(hours=hours))
    return made


def test_pinned_ones_stand_apart_on_the_first_page():
    talk("Old", 5)
    talk("Kept", 9, pinned=True)
    talk("New")
    first = conversation_list.page(factories.owner(), size=1)
    second = conversation_list.page(factories.owner(), after=first.last, size=1)
    assert (titles(first), titles(second), second.last) == ((["Kept"], ["New"]), ([], ["Old"]), None)


def test_chats_of_one_moment_are_all_listed_once():
    for number in range(5):
        talk(str(number))
    Conversation.objects.update(updated_at=timezone.now())
    seen: list[Any] = []
    after = None
    for _ in range(3):
        page = conversation_list.page(factories.owner(), after=after, size=2)
        seen, after = [*seen, *titles(page)[1]], page.last
    assert (sorted(seen), after) == (list("01234"), None)


@pytest.mark.parametrize(
    ("q", "found"),
    [("deep SEA", ["Talk"]), ("plan", ["A plan"]), ("deep plan", []), ("100%", ["Rate"]), ("_", []), ("\\", [])],
)
def test_words_are_found_in_titles_and_messages(q, found):
    talk("Talk", 1, "How deep is", "The deep sea")
    talk("A plan", 2, "Hello")
    talk("Rate", 3, "It is 100% sure, 1000 times")
    assert titles(conversation_list.search(factories.owner(), q)) == ([], found)


def test_nothing_of_others_is_found():
    talk("Theirs", 0, "secret", owner=factories.team_mate())
    assert titles(conversation_list.search(factories.owner(), "secret")) == ([], [])
    assert titles(conversation_list.page(factories.owner())) == ([], [])


def test_columns_of_comparisons_are_neither_listed_nor_found():
    comparison = factories.comparison()
    talk("Column", 0, "secret", comparison=comparison)
    assert titles(conversation_list.search(factories.owner(), "secret")) == ([], [])


def test_what_was_found_can_be_paged():
    for number in range(3):
        talk(f"Sea {number}", number)
    first = conversation_list.search(factories.owner(), "sea", size=2)
    second = conversation_list.search(factories.owner(), "sea", after=first.last, size=2)
    assert (titles(first)[1], titles(second)[1]) == (["Sea 0", "Sea 1"], ["Sea 2"])


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("The\n  sea", "The sea"),
        ("a " * 50 + "Sea" + " b" * 50, "…" + "a " * 13 + "Sea" + " b" * 25 + "…"),
        ("Not there", "Not there"),
    ],
)
def test_a_snippet_shows_the_words_that_were_searched(text, shown):
    assert conversation_list.snippet(text, "sea").strip() == shown


def test_a_new_title_and_a_pin_do_not_move_a_chat():
    old = talk("Old", 5)
    before = Conversation.objects.get().updated_at
    conversation_list.rename(old, " A\x00  new\ntitle ")
    conversation_list.pin(old, True)
    row = Conversation.objects.get()
    assert (row.title, row.pinned, row.updated_at) == ("A new title", True, before)
