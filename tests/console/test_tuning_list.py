import re
from datetime import timedelta

import pytest

from tests import factories

pytestmark = pytest.mark.django_db
HTMX = {"HTTP_HX_REQUEST": "true"}


@pytest.fixture
def page(client, owner):
    client.force_login(owner)
    return lambda path="/tuning/", **headers: client.get(path, **headers)


def words(response):
    return " ".join(response.content.decode().split())


def names(response):
    return re.findall(r'<th scope="row"><a href="/tuning/jobs/[^"]+">([^<]+)</a>', words(response))


def test_an_empty_list_says_what_to_do(page):
    assert "Tune a model on your own examples" in words(page())


def test_a_row_says_what_is_known(page):
    factories.job(
        display_name="Captain", state="RUNNING", total_steps=420, step=140, epoch=1.1, epochs=3, train_loss=1.2345
    )
    text = words(page())
    for shown in ("Captain", "Running", "epoch 2/3, step 140/420", "LoRA", "gemma-3-270m", "1.234"):
        assert shown in text


def test_progress_that_is_not_known_is_not_made_up(page):
    factories.job(state="PENDING")
    text = words(page())
    assert ("Waiting to start" in text, "<progress" in text) == (True, False)


@pytest.mark.parametrize("phase", ["AMBIGUOUS", "NEEDS_DECISION"])
def test_an_unknown_outcome_is_called_so(page, phase):
    factories.job(phase=phase, notice="No answer came.")
    text = words(page())
    assert ("Outcome unknown" in text, 'title="No answer came."' in text) == (True, True)


@pytest.mark.parametrize(
    ("query", "shown"), [("", ["Done", "Live"]), ("?state=running", ["Live"]), ("?state=done", ["Done"])]
)
def test_the_chips_filter_by_state(page, query, shown):
    factories.job(display_name="Live", state="RUNNING")
    factories.job(display_name="Done", state="SUCCEEDED")
    assert names(page(f"/tuning/{query}")) == shown


def test_the_chips_count(page):
    for state in ("RUNNING", "QUEUED", "FAILED"):
        factories.job(state=state)
    assert page("/tuning/?state=done").context["counts"] == {"all": 3, "running": 2, "done": 1}


def test_a_filter_that_finds_nothing_offers_the_whole_list(page):
    factories.job(state="RUNNING")
    assert "Show all jobs" in words(page("/tuning/?state=done"))


def test_open_drafts_are_listed_and_can_be_taken_up_or_dropped(page):
    draft = factories.draft(data={"name": {"display_name": "Half a bot"}})
    factories.draft(submitted_at=factories.NOW, data={"name": {"display_name": "Sent"}})
    text = words(page())
    assert ("Half a bot" in text, "Sent" in text) == (True, False)
    assert f"/tuning/drafts/{draft.pk}/name/" in text
    assert f"/tuning/drafts/{draft.pk}/discard/" in text


def test_pages_of_fifty_follow_each_other_without_gap(page):
    data = factories.dataset()
    for number in range(53):
        factories.job(display_name=f"J{number:02}", dataset=data, created_at=factories.NOW - timedelta(minutes=number))
    first = page()
    older = page(f"/tuning/{first.context['page'].older}")
    assert names(first) + names(older) == [f"J{number:02}" for number in range(53)]
    assert (older.context["page"].older, "Newest" in words(older)) == ("", True)


def test_jobs_of_the_same_moment_are_not_skipped(page):
    data = factories.dataset()
    for _ in range(52):
        factories.job(dataset=data, created_at=factories.NOW)
    first = page()
    older = page(f"/tuning/{first.context['page'].older}")
    shown = [job.pk for response in (first, older) for job in response.context["page"].rows]
    assert len(set(shown)) == 52


@pytest.mark.parametrize("key", ["nonsense", "2026-11-24", "2026-11-24T12:00:00+00:00_x", "_"])
def test_a_key_that_cannot_be_read_means_the_first_page(page, key):
    factories.job(display_name="Here")
    assert names(page(f"/tuning/?before={key}")) == ["Here"]


def test_a_live_row_fetches_itself_and_an_ended_one_does_not(page):
    live, ended = factories.job(state="RUNNING"), factories.job(state="SUCCEEDED")
    assert f'hx-get="/tuning/jobs/{live.pk}/row/"' in words(page(f"/tuning/jobs/{live.pk}/row/", **HTMX))
    assert "hx-get" not in words(page(f"/tuning/jobs/{ended.pk}/row/", **HTMX)).partition("</th>")[0]


def test_an_unchanged_row_costs_nothing(page):
    job = factories.job(state="QUEUED")
    etag = page(f"/tuning/jobs/{job.pk}/row/", **HTMX)["ETag"]
    assert page(f"/tuning/jobs/{job.pk}/row/", HTTP_IF_NONE_MATCH=etag, **HTMX).status_code == 304


def test_the_table_is_a_fragment_for_htmx_and_a_page_otherwise(page):
    fragment = page("/tuning/?state=done", **HTMX)
    assert ("<html" in words(fragment), 'id="tuning-table"' in words(fragment)) == (False, True)
    assert "HX-Request" in fragment["Vary"]


def test_a_ready_endpoint_can_be_tested_from_the_row(page):
    job = factories.job(state="SUCCEEDED")
    endpoint = factories.ready_endpoint(job=job, artifact_uri="gs://b/final")
    assert f"/studio/chat/?endpoint={endpoint.pk}" in words(page())


def test_other_peoples_jobs_are_not_listed(page, team_mate):
    factories.job(owner=team_mate)
    assert (names(page()), page().context["counts"]["all"]) == ([], 0)


@pytest.mark.parametrize("rows", [1, 3])
def test_the_page_takes_the_same_queries_for_one_row_and_for_three(page, django_assert_num_queries, rows):
    for _ in range(rows):
        factories.ready_endpoint(job=factories.job(state="SUCCEEDED"), artifact_uri="gs://b/final")
        factories.draft()
    page()
    with django_assert_num_queries(6):
        page()
