import re
import uuid

import pytest

from jobs.models import Comparison, Conversation, Dataset, DeployedModel, Endpoint, Message, Vote
from jobs.services.accounts import preferences
from jobs.services.comparisons import comparisons
from tests.console.views.chat.test_conversations import HTMX, words
from tests.support import factories
from tests.support.markup import tight

pytestmark = pytest.mark.django_db


@pytest.fixture
def visitor(client, owner):
    client.force_login(owner)
    return client


def url(comparison, rest=""):
    return f"/studio/compare/{comparison.pk}/{rest}"


def answer_url(message, rest=""):
    return f"/studio/compare/answers/{message.pk}/{rest}"


def column_url(column, rest=""):
    return f"/studio/compare/columns/{column.pk}/{rest}"


def two():
    return [factories.ready_endpoint(display_name=name) for name in ("Left one", "Right one")]


def started(count=2, **values):
    endpoints = (two() * 2)[:count]
    return comparisons.create(factories.owner(), key=uuid.uuid4(), endpoints=endpoints, **values)


def answered(comparison, text="Ahoy"):
    """The columns from left to right, each with an answer."""
    comparisons.send(comparison, key=uuid.uuid4(), text=text)
    for message in Message.objects.live():
        message.state, message.html, message.content = "COMPLETE", "<p>Arr</p>", "Arr"
        message.save()
    return list(comparison.columns.order_by("column"))


def send(visitor, comparison, text="Ahoy", key=None, **headers):
    return visitor.post(url(comparison, "send/"), {"key": key or uuid.uuid4(), "text": text}, **headers)


def vote(visitor, comparison, winner, number=1, **headers):
    data = {"round": number, "winner": winner.pk if winner else ""}
    return visitor.post(url(comparison, "vote/"), data, **headers)


def test_without_an_endpoint_the_page_says_what_to_do(visitor):
    text = words(visitor.get("/studio/compare/"))
    assert ("Nothing is deployed yet" in text, "Start comparing" in text) == (True, False)


def test_a_comparison_is_started_and_sent_twice_it_is_one(visitor):
    left, right = two()
    data = {"key": uuid.uuid4(), "a": left.pk, "b": right.pk, "c": "", "d": "", "blind": "on"}
    responses = [visitor.post("/studio/compare/", data) for _ in range(2)]
    comparison = Comparison.objects.get()
    assert [(response.status_code, response.url) for response in responses] == [(303, url(comparison))] * 2
    assert (comparison.blind, comparison.columns.count()) == (True, 2)


def test_an_endpoint_that_is_gone_is_refused(visitor):
    left, _right = two()
    gone = factories.endpoint()
    response = visitor.post("/studio/compare/", {"key": uuid.uuid4(), "a": left.pk, "b": gone.pk})
    assert (response.status_code, "is no longer available" in words(response)) == (422, True)


def test_a_tuned_model_is_proposed_with_its_base(visitor):
    two()
    tuned = factories.ready_endpoint(job=factories.job(), artifact_uri="gs://bucket/final")
    DeployedModel.objects.filter(display_name="Right one").update(base_model="x", publisher_model="x")
    form = visitor.get(f"/studio/compare/?endpoint={tuned.pk}").context["form"]
    left = Endpoint.objects.get(display_name="Left one")
    assert (form.initial["a"], form.initial["b"]) == (str(tuned.pk), str(left.pk))


def test_base_against_tuned_is_one_click(visitor):
    base = factories.ready_endpoint()
    job = factories.job(state="SUCCEEDED", phase="CLOSED")
    tuned = factories.ready_endpoint(job=job, artifact_uri="gs://bucket/final")
    for page in (f"/tuning/jobs/{job.pk}/", f"/models/{job.pk}/", f"/endpoints/{tuned.pk}/"):
        found = re.search(
            r'<form method="post" action="(/studio/compare/base/)".*?name="key" value="([^"]+)".*?value="([^"]+)"',
            words(visitor.get(page)),
        )
        response = visitor.post(found[1], {"key": found[2], "endpoint": found[3]})
        comparison = Comparison.objects.order_by("-created_at").first()
        sides = list(comparison.columns.order_by("column").values_list("endpoint", flat=True))
        assert (response.url, sides) == (url(comparison), [base.pk, tuned.pk])
    assert Comparison.objects.count() == 3


def test_a_base_models_endpoint_leads_to_the_choice(visitor):
    base = factories.ready_endpoint()
    assert f'href="/studio/compare/?endpoint={base.pk}"' in words(visitor.get(f"/endpoints/{base.pk}/"))


def test_columns_are_prepared_on_the_page(visitor):
    comparison = started()
    left, right = comparison.columns.order_by("column")
    visitor.post(url(comparison, "add/"), {"endpoint": left.endpoint_id})
    visitor.post(column_url(left, "endpoint/"), {"endpoint": right.endpoint_id})
    visitor.post(column_url(right, "remove/"))
    visitor.post(url(comparison, "blind/"), {"blind": "on"})
    comparison.refresh_from_db()
    sides = [column.endpoint.display_name for column in comparison.columns.order_by("column")]
    assert (sides, comparison.blind) == (["Right one", "Left one"], True)


def test_another_endpoint_must_answer(visitor):
    comparison = started()
    response = visitor.post(url(comparison, "add/"), {"endpoint": factories.endpoint().pk}, **HTMX)
    assert (response.status_code, "is no longer available" in words(response)) == (409, True)


def streamed(text):
    return re.findall(r'hx-sse:connect="/streams/chat/([^?]+)\?ticket=', text)


def test_one_stream_has_the_answers_of_all_columns(visitor):
    comparison = started()
    response = send(visitor, comparison, "What <b>now</b>?")
    text = words(visitor.get(url(comparison)))
    answers = list(Message.objects.filter(role="assistant").order_by("conversation__column"))
    assert streamed(text) == [",".join(str(answer.pk) for answer in answers)]
    for answer in answers:
        assert f'hx-trigger="end-{answer.pk} from:body, every 5s"' in text
        assert (f'id="reply-{answer.pk}-tail"' in text, answer_url(answer, "stop/") in text) == (True, True)
    assert (response.url, text.count("What &lt;b&gt;now&lt;/b&gt;?") >= 2, "Stop all" in text) == (
        url(comparison),
        True,
        True,
    )
    assert "Refresh" in text


def test_an_answer_that_is_asked_for_later_has_a_stream_of_its_own(visitor):
    """That of the others has begun: what it has told cannot be told again."""
    comparison = started()
    send(visitor, comparison)
    first, second = Message.objects.filter(role="assistant").order_by("conversation__column")
    name = re.search(r'id="(frames-\d+)"', words(visitor.get(url(comparison))))[1]
    Message.objects.filter(pk=first.pk).update(state="FAILED")
    text = words(visitor.post(answer_url(first, "retry/"), {"key": uuid.uuid4()}, **HTMX))
    again = Message.objects.filter(role="assistant", conversation=first.conversation).latest("ordinal")
    assert sorted(streamed(text)) == sorted([str(second.pk), str(again.pk)])
    assert f'id="{name}" hx-morph-skip' in text


def test_later_messages_come_as_a_fragment(visitor):
    comparison = started()
    assert send(visitor, comparison, **HTMX)["HX-Redirect"] == url(comparison)
    Message.objects.update(state="COMPLETE")
    text = words(send(visitor, comparison, "More", **HTMX))
    assert ("<html" in text, text.startswith('<div class="board" id="board"'), text.count(">More<")) == (False, True, 2)
    assert '<hx-partial hx-target="#composer-tools" hx-swap="outerMorph">' in text


@pytest.mark.parametrize("headers", [{}, HTMX])
def test_a_refused_text_says_why_and_stays(visitor, headers):
    comparison = started()
    send(visitor, comparison)
    response = send(visitor, comparison, "Next thought", **headers)
    assert (response.status_code, "still answering" in words(response)) == (422, True)
    assert ("Next thought</textarea>" in words(response)) == (not headers)


def test_a_picture_goes_to_every_column(visitor):
    factories.publisher_model(data={"modalities": ["text", "image"]})
    comparison, picture = started(), factories.picture()
    visitor.post(url(comparison, "send/"), {"key": uuid.uuid4(), "text": "", "picture": picture.pk})
    text = words(visitor.get(url(comparison)))
    assert [message.pictures.count() for message in Message.objects.filter(role="user")] == [1, 1]
    assert text.count('class="thumbs"') == 2


def test_a_model_that_reads_text_only_takes_the_pictures_from_all(visitor):
    factories.publisher_model(data={"modalities": ["text"]})
    text = words(visitor.get(url(started())))
    assert "gemma-3-270m accepts text only, not images." in text


def test_a_live_answer_is_asked_for_until_it_has_ended(visitor):
    comparison = started()
    send(visitor, comparison)
    answer = Message.objects.filter(role="assistant").first()
    assert visitor.get(f"{answer_url(answer)}?live", **HTMX).status_code == 204
    Message.objects.filter(pk=answer.pk).update(state="COMPLETE", content="Arr", html="<p>Arr</p>")
    text = words(visitor.get(f"{answer_url(answer)}?live", **HTMX))
    assert ("<p>Arr</p>" in text, 'hx-target="#vote"' in text, "A is best" in text) == (True, True, True)


def test_one_column_that_failed_does_not_keep_the_other_from_its_vote(visitor):
    comparison = started()
    left, right = answered(comparison)
    Message.objects.filter(pk=left.head_id).update(state="FAILED", content="", error_message="Too long.")
    text = words(visitor.get(url(comparison)))
    assert ("Too long." in text, "A is best" in text, "B is best" in text) == (True, False, True)
    assert answer_url(left.head, "retry/") in text


def test_an_answer_is_generated_again_in_its_column_only(visitor):
    comparison = started()
    left, _right = answered(comparison)
    key = re.search(
        rf'/answers/{left.head_id}/retry/".*?name="key" value="([^"]+)"', words(visitor.get(url(comparison)))
    )
    posts = [visitor.post(answer_url(left.head, "retry/"), {"key": key[1]}, **HTMX) for _ in range(2)]
    waiting = Message.objects.get(state="WAITING")
    assert ([post.status_code for post in posts], waiting.conversation) == ([200, 200], left)
    Message.objects.filter(pk=waiting.pk).update(state="COMPLETE", content="Other", html="<p>Other</p>")
    assert 'aria-label="Version 2 of 2"' in words(visitor.get(url(comparison)))
    text = words(visitor.post(answer_url(left.head, "show/"), **HTMX))
    assert ("<p>Other</p>" in text, ">Version 1 of 2</span>" in tight(text)) == (False, True)


def test_a_cut_off_answer_is_continued(visitor):
    comparison = started()
    left, _right = answered(comparison)
    Message.objects.filter(pk=left.head_id).update(finish_reason="length")
    assert answer_url(left.head, "continue/") in words(visitor.get(url(comparison)))
    visitor.post(answer_url(left.head, "continue/"), {"key": uuid.uuid4()})
    assert Message.objects.get(state="WAITING").content == "Arr"


def too_long(comparison):
    """The second answer of the left column, for which there was too much to read."""
    answered(comparison)
    left, _right = answered(comparison, "More")
    Message.objects.filter(pk=left.head_id).update(state="FAILED", content="", error_code="CONTEXT_LENGTH")
    return left


def test_a_column_goes_on_without_its_oldest_turns(visitor):
    comparison = started()
    left = too_long(comparison)
    drop, keep = "Drop the oldest turns and retry", "The model no longer receives"
    text = words(visitor.get(url(comparison)))
    assert (text.count(drop), text.count(keep), text.count(column_url(left, "send-all/"))) == (1, 0, 0)
    key = uuid.uuid4()
    posts = [visitor.post(answer_url(left.head, "drop-oldest/"), {"key": key}, **HTMX) for _ in range(2)]
    assert [(post.status_code, words(post).count(keep)) for post in posts] == [(200, 1)] * 2
    waiting = Message.objects.get(state="WAITING")
    left.refresh_from_db()
    assert (waiting.conversation, left.sent_from) == (left, waiting.parent)
    said = words(visitor.post(column_url(left, "send-all/"), **HTMX))
    assert (said.count(keep), "The whole conversation is sent to this model again" in said) == (0, True)
    assert visitor.post(column_url(left, "send-all/")).url == url(comparison)


def test_a_blind_column_does_not_tell_that_it_reads_less(visitor):
    comparison = started(blind=True)
    too_long(comparison)
    assert "Drop the oldest turns" not in words(visitor.get(url(comparison)))


def test_a_draft_is_kept_for_other_devices_until_something_is_sent(visitor):
    comparison, key = started(), uuid.uuid4()
    response = visitor.post(url(comparison, "draft/"), {"text": "Half a <thought>\x00", "key": key})
    text = words(visitor.get(url(comparison)))
    assert (response.status_code, "Half a &lt;thought&gt;</textarea>" in text) == (204, True)
    send(visitor, comparison, "Whole", key)
    assert "</textarea>" in (text := words(visitor.get(url(comparison))))
    assert "thought" not in text


def test_a_draft_that_comes_after_its_message_is_none(visitor):
    comparison, key = started(), uuid.uuid4()
    send(visitor, comparison, key=key)
    assert visitor.post(url(comparison, "draft/"), {"text": "Late", "key": key}).status_code == 205
    assert visitor.post(url(comparison, "draft/"), {"text": "Late"}).status_code == 422
    comparison.refresh_from_db()
    assert comparison.draft == ""


def test_each_answer_has_words_of_its_own_for_its_end(visitor):
    comparison = started()
    left, _right = answered(comparison)
    first = re.search(r'id="(said-\d+)"', words(visitor.get(url(comparison), **HTMX)))
    visitor.post(answer_url(left.head, "retry/"), {"key": uuid.uuid4()}, **HTMX)
    Message.objects.filter(state="WAITING").update(state="COMPLETE", content="Other", html="<p>Other</p>")
    second = re.search(r'id="(said-\d+)">All answers are complete', tight(words(visitor.get(url(comparison), **HTMX))))
    assert first[1] != second[1]


def test_one_column_is_stopped_or_all_are(visitor):
    comparison = started()
    send(visitor, comparison)
    first, second = Message.objects.filter(role="assistant")
    assert visitor.post(answer_url(first, "stop/"), **HTMX).status_code == 204
    assert [row.state for row in Message.objects.filter(role="assistant")] == ["STOPPED", "WAITING"]
    visitor.post(url(comparison, "stop/"))
    second.refresh_from_db()
    assert second.state == "STOPPED"


NAMES = ("Left one", "Right one", "Temperature 0.5", "tokens in")


def test_a_blind_comparison_does_not_tell_which_is_which_until_the_vote(visitor):
    comparison = started(blind=True)
    for column in comparison.columns.all():
        visitor.post(column_url(column, "options/"), {"temperature": "0.5"})
    assert "Left one" in words(visitor.get(url(comparison)))
    columns = answered(comparison)
    Message.objects.filter(role="assistant").update(
        usage={"prompt_tokens": 3, "completion_tokens": 4}, timings={"total": 1}
    )
    pages = [url(comparison), "/studio/compare/"]
    texts = [words(visitor.get(pages[0])), words(visitor.get(pages[1])).partition('class="links"')[2]]
    texts += [words(visitor.get(answer_url(column.head), **HTMX)) for column in columns]
    assert [name for name in NAMES for text in texts if name in text] == []
    assert [str(column.endpoint_id) for column in columns for text in texts if str(column.endpoint_id) in text] == []
    text = words(vote(visitor, comparison, columns[0], **HTMX))
    assert [name for name in NAMES if name not in text] == []
    name = columns[0].endpoint.label
    assert (f"A was best: {name}" in text, ">Vote counted</span>" in tight(text)) == (True, True)


def test_a_failure_does_not_tell_either(visitor):
    comparison = started(blind=True)
    columns = answered(comparison)
    Message.objects.filter(pk=columns[0].head_id).update(state="FAILED", content="", error_message="Left one is away.")
    text = words(visitor.get(url(comparison)))
    assert ("Left one" in text, "The reason is shown after you vote." in text) == (False, True)


def test_what_would_tell_is_refused_before_the_vote(visitor):
    comparison = started(blind=True)
    columns = answered(comparison)
    answers = [
        visitor.post(column_url(columns[0], "options/"), {"temperature": "1"}),
        visitor.post(answer_url(columns[0].head, "branch/"), {"key": uuid.uuid4()}),
    ]
    assert [answer.status_code for answer in answers] == [409, 409]
    assert visitor.get(column_url(columns[0], "options/")).status_code == 409


def test_names_can_be_shown_without_a_vote(visitor):
    comparison = started(blind=True)
    answered(comparison)
    text = words(visitor.post(url(comparison, "reveal/"), **HTMX))
    assert ("Left one" in text, "A is best" in text, Vote.objects.count()) == (True, True, 0)


def test_a_vote_marks_the_answer_and_counts_for_the_endpoint(visitor):
    comparison = started()
    _left, right = answered(comparison)
    response = vote(visitor, comparison, right)
    assert (response.status_code, response.url) == (303, url(comparison))
    text = words(visitor.get(url(comparison)))
    assert ("B was best" in text, text.count("turn model best"), "1 vote" in text) == (True, 1, True)
    assert re.search(
        r"Right one \(gemma-3-270m\)</a></th><td class=\"num\">1</td>", tight(words(visitor.get("/studio/compare/")))
    )


def test_none_can_be_better(visitor):
    comparison = started()
    answered(comparison)
    vote(visitor, comparison, None)
    assert "None was better." in words(visitor.get(url(comparison)))


@pytest.mark.parametrize(
    "data", [{}, {"round": "x"}, {"round": 1, "winner": "x"}, {"round": 1, "winner": uuid.uuid4()}]
)
def test_a_vote_for_nothing_is_refused(visitor, data):
    comparison = started()
    answered(comparison)
    assert (visitor.post(url(comparison, "vote/"), data, **HTMX).status_code, Vote.objects.count()) == (409, 0)


@pytest.mark.parametrize("headers", [{}, HTMX])
def test_parameters_are_set_in_a_form_of_their_own(visitor, headers):
    comparison = started()
    left, _right = comparison.columns.order_by("column")
    text = words(visitor.get(column_url(left, "options/"), **headers))
    assert ("<html" in text, 'id="ask"' in text) == ((not headers), bool(headers))
    wrong = visitor.post(column_url(left, "options/"), {"temperature": "hot"}, **headers)
    assert (wrong.status_code, 'value="hot"' in words(wrong)) == (422, True)
    done = visitor.post(
        column_url(left, "options/"), {"temperature": "0.5", "system_instruction": "Be brief."}, **headers
    )
    left.refresh_from_db()
    assert (done.status_code, left.parameters, left.system_instruction) == (
        204 if headers else 303,
        {"temperature": 0.5},
        "Be brief.",
    )
    assert "Temperature 0.5" in words(visitor.get(url(comparison)))


def test_a_parameter_is_reset_and_the_form_stays(visitor):
    left = started().columns.first()
    visitor.post(column_url(left, "options/"), {"temperature": "0.5"})
    response = visitor.post(column_url(left, "options/"), {"temperature": "0.5", "reset": "all"}, **HTMX)
    left.refresh_from_db()
    assert (response["HX-Retarget"], left.parameters) == ("#options-form", {})


def row(visitor, answer, **values):
    data = {"key": uuid.uuid4(), "text": "Better", "dataset": "", "name": "Compared"} | values
    return visitor.post(answer_url(answer, "row/"), data)


@pytest.mark.parametrize("headers", [{}, HTMX])
def test_an_answer_is_edited_on_its_way_into_a_dataset(visitor, headers):
    comparison = started()
    left, _right = answered(comparison)
    dataset = factories.dataset()
    text = words(visitor.get(answer_url(left.head, "row/"), **headers))
    assert ("Arr</textarea>" in text, f'<option value="{dataset.pk}"' in text, 'id="ask"' in text) == (
        True,
        True,
        bool(headers),
    )
    response = row(visitor, left.head, dataset=dataset.pk)
    latest = Dataset.objects.get(family=dataset.family, is_latest=True)
    assert (response.url, latest.valid_rows, latest.version) == (url(comparison), dataset.valid_rows + 1, 2)
    assert "Better" in words(visitor.get(f"/datasets/{latest.pk}/rows/?row=13"))
    assert "A row of “Questions”, version 2" in words(visitor.get(url(comparison)))
    assert f'<option value="{latest.pk}" selected>' in words(visitor.get(answer_url(left.head, "row/")))


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"name": ""}, "Enter a name for the new dataset."),
        ({"text": " "}, "Enter the answer"),
        ({"name": "Questions"}, "already have a dataset with this name"),
        ({"dataset": uuid.uuid4()}, "can&#x27;t be added to this dataset"),
    ],
)
def test_a_row_that_cannot_be_added_says_why(visitor, values, reason):
    left, _right = answered(started())
    factories.dataset()
    response = row(visitor, left.head, **values)
    assert (response.status_code, reason in words(response), Dataset.objects.count()) == (422, True, 1)


def test_a_conversation_with_pictures_is_no_row_and_says_so_at_once(visitor):
    left, _right = answered(started())
    factories.picture(message=left.head.parent)
    text = words(visitor.get(answer_url(left.head, "row/")))
    assert ("This conversation has images." in text, "Add row" in text) == (True, False)


def test_a_column_goes_on_as_a_chat(visitor):
    left, _right = answered(started())
    response = visitor.post(answer_url(left.head, "branch/"), {"key": uuid.uuid4()})
    talk = Conversation.objects.get(comparison=None)
    assert (response.url, talk.endpoint) == (f"/studio/chat/{talk.pk}/", left.endpoint)


def test_a_column_is_not_found_among_the_chats(visitor):
    left, _right = answered(started())
    addresses = [f"/studio/chat/{left.pk}/", f"/studio/chat/turns/{left.head_id}/"]
    assert [visitor.get(address).status_code for address in addresses] == [404, 404]
    assert visitor.get(f"/studio/chat/turns/{left.head_id}/waiting/").status_code == 204


def test_the_same_is_compared_again_renamed_and_deleted(visitor):
    comparison = started()
    answered(comparison)
    key = uuid.uuid4()
    assert visitor.post(url(comparison, "again/"), {"key": key}).url == f"/studio/compare/{key}/"
    assert 'name="title" value="Ahoy"' in words(visitor.get(url(comparison, "rename/")))
    assert visitor.post(url(comparison, "rename/"), {"title": "x" * 201}).status_code == 422
    visitor.post(url(comparison, "rename/"), {"title": "Base and tuned"})
    assert "Base and tuned" in words(visitor.get("/studio/compare/"))
    assert visitor.post(url(comparison, "delete/")).url == "/studio/compare/"
    assert not Comparison.objects.filter(pk=comparison.pk).exists()


def test_when_no_endpoint_answers_the_composer_says_so(visitor):
    comparison = started()
    answered(comparison)
    Endpoint.objects.update(state="UNDEPLOYED")
    text = words(visitor.get(url(comparison)))
    assert ("None of these endpoints is ready." in text, "Ask all models" in text) == (True, False)


def test_back_does_not_find_the_board_in_the_place_of_the_page(visitor):
    assert "HX-Request" in visitor.get(url(started()), **HTMX)["Vary"]


@pytest.mark.parametrize("rows", [1, 3])
def test_the_list_takes_the_same_queries_for_one_and_for_three(visitor, django_assert_num_queries, rows):
    for _ in range(rows):
        comparison = started()
        vote(visitor, comparison, answered(comparison)[0])
    with django_assert_num_queries(10):
        visitor.get("/studio/compare/")


@pytest.mark.parametrize(("columns", "rounds"), [(2, 1), (4, 1), (2, 3)])
def test_the_page_takes_the_same_queries_for_any_columns_and_rounds(
    visitor, django_assert_num_queries, columns, rounds
):
    comparison = started(columns)
    for _ in range(rounds):
        answered(comparison)
    with django_assert_num_queries(11):
        visitor.get(url(comparison))


def test_a_comparison_is_taken_along_once_its_names_are_shown(visitor):
    comparison = started(blind=True)
    assert "Export as" not in words(visitor.get(url(comparison)))
    left, _right = answered(comparison)
    hidden = visitor.get(url(comparison))
    assert ("Export as" in words(hidden), visitor.get(url(comparison, "export.json")).status_code) == (False, 409)
    assert "Export as Markdown" in words(vote(visitor, comparison, left, **HTMX))
    files = {form: visitor.get(url(comparison, f"export.{form}")) for form in ("md", "json", "txt")}
    assert {form: response.status_code for form, response in files.items()} == {"md": 200, "json": 200, "txt": 404}
    assert files["json"]["Content-Disposition"] == 'attachment; filename="ahoy.json"'
    assert files["json"].json()["schema"] == "garden-console/comparison"
    assert "Export as Markdown" in words(visitor.get(url(comparison)))


def test_another_format_keeps_the_schema_of_a_column(visitor):
    left = started().columns.first()
    visitor.post(column_url(left, "options/"), {"response_format": "json_schema", "schema": '{"type": "object"}'})
    visitor.post(column_url(left, "options/"), {"response_format": "", "schema": '{"type": "object"}'})
    text = words(visitor.get(column_url(left, "options/")))
    left.refresh_from_db()
    assert ("response_format" in left.parameters, "{&quot;type&quot;: &quot;object&quot;}</textarea>" in text) == (
        False,
        True,
    )


def test_each_column_starts_with_a_limit_that_is_shown_and_can_be_changed(visitor):
    comparison = started()
    left, right = comparison.columns.order_by("column")
    assert [left.parameters, right.parameters] == [{"max_tokens": 512}] * 2
    text = words(visitor.get(url(comparison)))
    assert (text.count("Output token limit 512"), "starts with an output token limit" in text) == (2, True)
    visitor.post(column_url(left, "options/"), {"max_tokens": "2000"})
    visitor.post(column_url(right, "options/"), {"max_tokens": ""})
    send(visitor, comparison)
    answers = Message.objects.filter(role="assistant").order_by("conversation__column")
    assert [answer.parameters for answer in answers] == [{"max_tokens": 2000}, {}]


def test_the_persons_own_limit_goes_before_that_of_comparisons(visitor, owner):
    preferences.save_defaults(owner, chat={"max_tokens": 64})
    assert started().columns.first().parameters == {"max_tokens": 64}


def one_ended(comparison):
    """The left column has answered, the right one goes on and on."""
    comparisons.send(comparison, key=uuid.uuid4(), text="Ahoy")
    left, right = comparison.columns.order_by("column")
    Message.objects.filter(pk=left.head_id).update(state="COMPLETE", content="Arr", html="<p>Arr</p>")
    Message.objects.filter(pk=right.head_id).update(state="STREAMING", content="Arr arr")
    return left, right


@pytest.mark.parametrize("blind", [False, True])
def test_an_answer_without_an_end_does_not_keep_the_vote(visitor, blind):
    comparison = started(blind=blind)
    left, right = one_ended(comparison)
    text = words(visitor.get(url(comparison)))
    assert ("Other models are still answering." in text, "None is better" in text) == (True, False)
    assert ("A is best" in text, "B is best" in text, answer_url(right.head, "stop/") in text) == (True, False, True)
    refused = [vote(visitor, comparison, winner, **HTMX).status_code for winner in (right, None)]
    assert (refused, vote(visitor, comparison, left, **HTMX).status_code) == ([409, 409], 200)
    assert "A was best" in words(visitor.get(url(comparison)))


def test_the_last_answer_brings_all_columns_so_that_none_is_waiting_beside_the_end(visitor):
    comparison = started()
    left, right = one_ended(comparison)
    assert visitor.get(f"{answer_url(right.head)}?live", **HTMX).status_code == 204
    one = visitor.get(f"{answer_url(left.head)}?live", **HTMX)
    assert ("HX-Retarget" in one, f'id="live-{right.head_id}"' in words(one)) == (False, False)
    visitor.post(url(comparison, "stop/"), **HTMX)
    Message.objects.filter(pk=right.head_id).update(state="STOPPED")
    last = visitor.get(f"{answer_url(right.head)}?live", **HTMX)
    text = words(last)
    assert (last["HX-Retarget"], last["HX-Reswap"]) == ("#board", "outerMorph")
    assert ("All answers are complete" in text, "Generating…" in text) == (True, False)
    assert [text.count(f'id="turn-{talk.head_id}"') for talk in (left, right)] == [1, 1]


def test_an_answer_that_has_ended_is_another_element_which_a_morph_puts_in_its_place(visitor):
    """A morph leaves the element alone that is being written into, by its id."""
    comparison = started()
    left, right = one_ended(comparison)
    text = words(visitor.get(url(comparison), **HTMX))
    for talk, id_ in ((left, "turn"), (right, "live")):
        assert re.findall(rf'<article class="turn model" id="(\w+)-{talk.head_id}"', text) == [id_]
