import re
import uuid
from urllib.parse import urlsplit

import pytest

from jobs.models import Conversation, Dataset, Message, ShareLink
from jobs.services.chat import shared_links
from tests.console.views.chat.test_conversations import HTMX, answered, turn_url, url, words
from tests.support import factories
from tests.support.markup import tight
from tests.support.stored import path_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def visitor(client, owner):
    client.force_login(owner)
    return client


def two_versions(**values):
    """A question with two answers, the second shown."""
    first = answered(content="First", html="<p>First</p>")
    talk = first.conversation
    talk.head = first.parent
    second = factories.message(conversation=talk, role="assistant", content="Second", html="<p>Second</p>", **values)
    return first, second


def test_only_the_branch_that_is_shown_is_on_the_page(visitor):
    _first, second = two_versions()
    text = words(visitor.get(url(second.conversation)))
    assert ("<p>First</p>" in text, "<p>Second</p>" in text, 'aria-label="Version 2 of 2"' in text) == (
        False,
        True,
        True,
    )


def pressed(response):
    return re.findall(r'value="(\w*)" aria-pressed="true" aria-label="([^"]*)"', words(response))


def test_an_answer_is_rated_and_the_rating_taken_back(visitor):
    answer = answered()
    before = answer.conversation.updated_at
    for rating, shown in (("good", [("", "Good answer")]), ("bad", [("", "Bad answer")]), ("", [])):
        assert pressed(visitor.post(turn_url(answer, "rate/"), {"rating": rating}, **HTMX)) == shown
        assert pressed(visitor.get(url(answer.conversation))) == shown
    answer.refresh_from_db()
    assert (answer.rating, answer.conversation.updated_at) == ("", before)


@pytest.mark.parametrize(("turn", "rating"), [("question", "good"), ("answer", "great")])
def test_what_is_no_rating_is_refused(visitor, turn, rating):
    answer = answered()
    rated = answer.parent if turn == "question" else answer
    assert visitor.post(turn_url(rated, "rate/"), {"rating": rating}).status_code == 409
    assert not Message.objects.exclude(rating="").exists()


def test_another_version_is_shown_and_announced(visitor):
    first, _second = two_versions()
    text = words(visitor.post(turn_url(first, "show/"), **HTMX))
    assert ("<p>First</p>" in text, "<p>Second</p>" in text) == (True, False)
    status = (
        f'<hx-partial hx-target="#chat-status" hx-swap="innerMorph"><span id="said-{first.pk}">Version 1 of 2</span>'
    )
    assert status in tight(text)


def test_a_refresh_that_nobody_asked_for_speaks_over_nothing(visitor):
    _first, second = two_versions()
    text = words(visitor.get(url(second.conversation), **HTMX))
    assert ("<p>Second</p>" in text, "chat-status" in text, "composer-error" in text) == (True, False, True)


def test_a_refresh_while_the_model_answers_says_so_and_leaves_what_was_refused(visitor):
    _first, second = two_versions()
    Message.objects.filter(pk=second.pk).update(state="STREAMING")
    text = words(visitor.get(url(second.conversation), **HTMX))
    assert (">Generating…</span>" in tight(text), "composer-error" in text) == (True, False)


def test_without_a_script_showing_leads_back_to_the_turn(visitor):
    first, _second = two_versions()
    response = visitor.post(turn_url(first, "show/"))
    assert (response.status_code, response.url) == (303, f"{url(first.conversation)}#turn-{first.pk}")


def test_at_the_end_of_the_versions_the_button_leads_nowhere(visitor):
    first, second = two_versions()
    text = words(visitor.get(url(second.conversation)))
    assert (turn_url(first, "show/") in text, turn_url(second, "show/") in text) == (True, False)
    assert 'aria-label="Next version" aria-disabled="true"' in text


@pytest.mark.parametrize(("verb", "values"), [("retry", {}), ("continue", {"finish_reason": "length"})])
def test_two_clicks_are_one_answer(visitor, verb, values):
    answer = answered(**values)
    key = re.search(
        rf'/turns/{answer.pk}/{verb}/".*?name="key" value="([^"]+)"', words(visitor.get(url(answer.conversation)))
    )
    posts = [visitor.post(turn_url(answer, f"{verb}/"), {"key": key[1]}, **HTMX) for _ in range(2)]
    waiting = Message.objects.filter(state="WAITING")
    assert ([post.status_code for post in posts], waiting.count()) == ([200, 200], 1)
    assert f'id="turn-{waiting.get().pk}" aria-busy="true"' in words(posts[0])


def test_the_key_changes_when_the_chat_grows(visitor):
    answer = answered()
    keys = []
    for _ in range(2):
        text = words(visitor.get(url(answer.conversation)))
        keys.append(re.search(rf'/turns/{answer.pk}/retry/".*?name="key" value="([^"]+)"', text)[1])
        answered(answer.conversation)
    assert keys[0] != keys[1]


@pytest.mark.parametrize("verb", ["retry", "continue", "branch"])
def test_a_button_without_its_key_does_nothing(visitor, verb):
    answer = answered(finish_reason="length")
    assert (visitor.post(turn_url(answer, f"{verb}/"), **HTMX).status_code, Message.objects.count()) == (409, 2)


def test_a_continued_answer_shows_its_beginning_and_says_that_it_took_two_requests(visitor):
    answer = answered(content="The", html="<p>The</p>", finish_reason="length")
    response = visitor.post(turn_url(answer, "continue/"), {"key": uuid.uuid4()}, **HTMX)
    assert re.search(r'id="reply-[^"]+-tail"><p>The</p></div>', words(response))
    Message.objects.filter(role="assistant").update(state="COMPLETE", timings={"total": 1, "requests": 2})
    assert "<span>2 requests</span>" in tight(words(visitor.get(url(answer.conversation))))


def test_a_question_is_edited_in_its_place(visitor):
    answer = answered()
    form = words(visitor.get(turn_url(answer.parent, "edit/"), **HTMX))
    assert (
        form.startswith(f'<article class="turn user editing" id="turn-{answer.parent_id}" hx-morph-skip>'),
        "<html" in form,
    ) == (
        True,
        False,
    )
    response = visitor.post(turn_url(answer.parent, "edit/"), {"key": uuid.uuid4(), "text": "Avast"}, **HTMX)
    assert ("Avast" in words(response), ">Ahoy<" in words(response)) == (True, False)


def test_without_a_script_a_question_is_edited_on_the_page(visitor):
    answer = answered()
    text = words(visitor.get(turn_url(answer.parent, "edit/")))
    assert ("<html" in text, ">Ahoy</textarea>" in text) == (True, True)
    response = visitor.post(turn_url(answer.parent, "edit/"), {"key": uuid.uuid4(), "text": "Avast"})
    assert response.url == f"{url(answer.conversation)}#turn-{Message.objects.last().pk}"


@pytest.mark.parametrize("headers", [{}, HTMX])
def test_a_refused_edit_says_why_and_keeps_the_text(visitor, headers):
    answer = answered()
    type(answer.conversation.endpoint).objects.update(state="UNDEPLOYED")
    data = {"key": uuid.uuid4(), "text": "Avast"}
    response = visitor.post(turn_url(answer.parent, "edit/"), data, **headers)
    text = words(response)
    assert (response.status_code, "Send your message when it&#x27;s ready" in text, ">Avast</textarea>" in text) == (
        422,
        True,
        True,
    )


def test_deleting_a_turn_is_asked_first_and_says_how_much_is_lost(visitor):
    answer = answered()
    answered(answer.conversation)
    for headers, whole in (({}, True), (HTMX, False)):
        text = words(visitor.get(turn_url(answer.parent, "delete/"), **headers))
        assert ("4 messages will be deleted." in text, "<html" in text) == (True, whole)
    response = visitor.post(turn_url(answer.parent, "delete/"))
    assert (response.url, Message.objects.count()) == (url(answer.conversation), 0)


def test_a_branch_leads_to_the_new_chat(visitor):
    answer = answered()
    response = visitor.post(turn_url(answer, "branch/"), {"key": uuid.uuid4()})
    copy = Conversation.objects.exclude(pk=answer.conversation_id).get()
    assert (response.url, copy.title) == (url(copy), "Hello (branch)")


def test_a_chat_gets_another_title(visitor):
    talk = factories.conversation()
    assert "<html" not in words(visitor.get(url(talk, "rename/"), **HTMX))
    assert 'value="Hello"' in words(visitor.get(url(talk, "rename/")))
    assert visitor.post(url(talk, "rename/"), {"title": " Deep  water "}).url == url(talk)
    assert Conversation.objects.get().title == "Deep water"


def test_a_title_that_is_too_long_says_so(visitor):
    response = visitor.post(url(factories.conversation(), "rename/"), {"title": "x" * 201})
    assert (response.status_code, "A title has at most 200 characters." in words(response)) == (422, True)


def test_a_chat_is_pinned_and_unpinned(visitor):
    talk = factories.conversation()
    visitor.post(url(talk, "pin/"), {"pinned": "yes"})
    assert "<h2>Pinned</h2>" in words(visitor.get(url(talk)))
    visitor.post(url(talk, "pin/"), {"pinned": "no"})
    assert "<h2>Pinned</h2>" not in words(visitor.get(url(talk)))


def test_a_chat_changes_its_endpoint(visitor, team_mate):
    talk, other = factories.conversation(), factories.ready_endpoint(display_name="Captain")
    theirs = factories.ready_endpoint(owner=team_mate)
    assert "Captain (gemma-3-270m)</option>" in words(visitor.get(url(talk)))
    statuses = [
        visitor.post(url(talk, "endpoint/"), {"endpoint": pk}).status_code for pk in (theirs.pk, "x", "", other.pk)
    ]
    talk.refresh_from_db()
    assert (statuses, talk.endpoint) == ([409, 409, 409, 303], other)


def test_an_endpoint_that_is_not_ready_stays_named_in_the_list(visitor):
    talk = factories.conversation(endpoint=factories.endpoint(display_name="Asleep", state="UNDEPLOYED"))
    assert "selected disabled>Asleep (gemma-3-270m)</option>" in words(visitor.get(url(talk)))


def test_an_answer_says_where_it_came_from(visitor):
    assert "<span>Captain (gemma)</span>" in words(
        visitor.get(url(answered(answered_by="Captain (gemma)").conversation))
    )


LIST = "/studio/chat/chats/"


def test_the_list_is_a_page_and_a_fragment(visitor):
    factories.conversation(title="Deep sea")
    assert ("<html" in words(visitor.get(LIST)), "<html" in words(visitor.get(LIST, **HTMX))) == (True, False)


def test_what_is_found_is_marked(visitor):
    talk = factories.conversation(title="Deep sea")
    factories.message(conversation=talk, content="How <deep> is the sea?")
    text = words(visitor.get(f"{LIST}?q=deep&current={talk.pk}", **HTMX))
    assert "<span><mark>Deep</mark>sea</span><small>How &lt;<mark>deep</mark>&gt; is the sea?</small>" in tight(text)
    assert 'aria-current="page"' in text


def test_nothing_found_says_so(visitor):
    factories.conversation()
    assert "No chats match your search." in words(visitor.get(f"{LIST}?q=xyz", **HTMX))


def test_more_chats_go_on_in_their_group(visitor):
    for number in range(41):
        factories.conversation(title=f"Talk {number}")
    text = words(visitor.get(LIST))
    older = re.search(r'href="([^"]+after=[^"]+)"', text)[1].replace("&amp;", "&")
    more = words(visitor.get(older, **HTMX))
    assert ("Talk 0" in text, "Talk 0" in more, "<h2>" in more) == (False, True, False)


@pytest.mark.parametrize("key", ["x", "[]", '[null,"2026-01-01T00:00:00+00:00","x"]', "\x00"])
def test_a_key_that_cannot_be_read_is_the_first_page(visitor, key):
    factories.conversation(title="Talk")
    assert "Talk" in words(visitor.get(LIST, {"after": key}))


@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize(("query", "queries"), [("", 5), ("?q=ahoy", 4)])
def test_the_list_takes_the_same_queries_for_one_chat_and_for_three(
    visitor, django_assert_num_queries, rows, query, queries
):
    for _ in range(rows):
        answered()
    with django_assert_num_queries(queries):
        visitor.get(LIST + query)


def export(visitor, talk, form):
    return visitor.get(url(talk, f"export.{form}"))


@pytest.mark.parametrize(
    ("form", "kind", "begins"),
    [
        ("md", "text/markdown", "# Deep sea"),
        ("json", "application/json", "{"),
        ("jsonl", "application/jsonl", '{"messages"'),
    ],
)
def test_a_chat_is_a_file(visitor, form, kind, begins):
    talk = answered(factories.conversation(title="Deep sea")).conversation
    response = export(visitor, talk, form)
    assert response["Content-Type"] == f"{kind}; charset=utf-8"
    assert response["Content-Disposition"] == f'attachment; filename="deep-sea.{form}"'
    assert response.content.decode().startswith(begins)


@pytest.mark.parametrize(("form", "status"), [("exe", 404), ("jsonl", 409)])
def test_what_cannot_be_exported_is_refused(visitor, form, status):
    assert export(visitor, factories.conversation(title="\u6d77"), form).status_code == status


def test_a_title_in_another_script_is_no_file_name(visitor):
    response = export(visitor, factories.conversation(title="\u6d77"), "md")
    assert response["Content-Disposition"] == 'attachment; filename="chat.md"'


def shared(visitor, talk):
    text = words(visitor.post(url(talk, "share/")))
    return urlsplit(re.search(r"<code[^>]*>(http://[^<]+)</code>", text)[1]).path


def test_a_link_is_read_without_an_account(visitor, client):
    link = shared(visitor, answered().conversation)
    client.logout()
    response = client.get(link)
    text = words(response)
    assert (response.status_code, "<p>Arr</p>" in text, 'id="nav"' in text, "csrfmiddlewaretoken" in text) == (
        200,
        True,
        False,
        False,
    )
    assert [response[name] for name in ("Cache-Control", "Referrer-Policy", "X-Robots-Tag")] == [
        "no-store", "no-referrer", "noindex, nofollow",
    ]  # fmt: skip


def test_a_link_shows_nothing_that_was_said_later(visitor, client):
    talk = answered().conversation
    link = shared(visitor, talk)
    answered(talk, html="<p>Later</p>")
    assert "Later" not in words(client.get(link))


def test_a_revoked_link_shows_nothing(visitor, client):
    link = shared(visitor, answered().conversation)
    response = visitor.post(f"/studio/chat/links/{ShareLink.objects.get().pk}/revoke/")
    assert (response.url, client.get(link).status_code, client.get("/shared/x/").status_code) == (
        "/studio/chat/links/",
        404,
        404,
    )


def test_pictures_are_shown_through_the_link_only(visitor, client):
    talk = answered().conversation
    inside = factories.picture(message=talk.messages.first())
    link = shared(visitor, talk)
    outside = factories.picture(message=factories.message(conversation=talk))
    client.logout()
    found, hidden = (client.get(f"{link}pictures/{picture.pk}") for picture in (inside, outside))
    assert (found.content, found["Content-Type"], found["Cache-Control"]) == (
        factories.png(), "image/png", "no-store",
    )  # fmt: skip
    assert (hidden.status_code, client.get(f"/shared/x/pictures/{inside.pk}").status_code) == (404, 404)
    assert f'src="{link}pictures/{inside.pk}"' in words(client.get(link))


def test_a_picture_without_its_file_is_not_found(visitor, client):
    talk = answered().conversation
    picture = factories.picture(message=talk.messages.first(), content=b"gone")
    link = shared(visitor, talk)
    path_of(picture).unlink()
    assert client.get(f"{link}pictures/{picture.pk}").status_code == 404


def test_the_token_is_shown_once(visitor):
    talk = answered().conversation
    token = shared(visitor, talk).split("/")[2]
    assert token not in words(visitor.get(url(talk, "share/")))


def test_a_link_is_made_in_the_dialog(visitor):
    talk = answered().conversation
    asked, made = visitor.get(url(talk, "share/"), **HTMX), visitor.post(url(talk, "share/"), **HTMX)
    assert (words(asked).startswith("<dialog"), "<code" in words(asked)) == (True, False)
    assert (words(made).startswith('<div class="stack" id="share">'), "<code" in words(made)) == (True, True)


@pytest.mark.parametrize("rows", [1, 3])
def test_the_list_of_links_takes_the_same_queries_for_one_and_for_three(visitor, django_assert_num_queries, rows):
    for _ in range(rows):
        shared_links.share(answered().conversation)
    with django_assert_num_queries(4):
        visitor.get("/studio/chat/links/")


def test_what_is_too_long_goes_on_without_the_oldest_turns(visitor):
    first = answered()
    failed = answered(first.conversation, state="FAILED", content="", error_code="CONTEXT_LENGTH")
    talk = failed.conversation
    text = words(visitor.get(url(talk)))
    assert ("Drop the oldest turns and retry" in text, "The model no longer receives" in text) == (True, False)
    text = words(visitor.post(turn_url(failed, "drop-oldest/"), {"key": str(uuid.uuid4())}, **HTMX))
    assert text.index("<p>Arr</p>") < text.index("The model no longer receives") < text.index('aria-busy="true"')
    text = words(visitor.post(url(talk, "send-all/"), **HTMX))
    assert ("The model no longer receives" in text, "The whole chat is sent to the model again" in text) == (
        False,
        True,
    )


def test_a_first_question_that_is_too_long_has_nothing_to_drop(visitor):
    failed = answered(state="FAILED", content="", error_code="CONTEXT_LENGTH")
    assert "Drop the oldest turns" not in words(visitor.get(url(failed.conversation)))


def test_an_answer_of_a_chat_becomes_a_row_of_a_dataset(visitor):
    answer = answered()
    form = words(visitor.get(turn_url(answer, "row/"), **HTMX))
    assert ("Arr</textarea>" in form, 'value="Answers from chats"' in form) == (True, True)
    data = {"key": str(uuid.uuid4()), "text": "Arr!", "name": "Answers from chats"}
    response = visitor.post(turn_url(answer, "row/"), data)
    assert (response.status_code, response.url) == (303, f"{url(answer.conversation)}#turn-{answer.pk}")
    made = Dataset.objects.get()
    assert (made.name, made.version) == ("Answers from chats", 1)
    assert visitor.get(turn_url(answer.parent, "row/")).status_code == 404
