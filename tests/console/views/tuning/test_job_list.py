import csv
import io
import re
from datetime import timedelta

import pytest
from django.utils import timezone
from django.utils.html import escape

from console.templatetags.stencil import MARK
from jobs.models import AccountPreference, TuningJob
from tests.support import factories
from tests.support.markup import tight
from tests.support.share import one_of

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


def counted(response):
    return [counter["value"] for counter in response.context["counters"]]


def all_names(page, path):
    """Through all pages by their links."""
    found, response = [], page(path)
    while True:
        found += names(response)
        if not response.context["page"].next_url:
            return found
        response = page(f"/tuning/{response.context['page'].next_url}")


def test_an_empty_list_says_what_to_do(page):
    assert "Tune a model on your own examples" in words(page())


def test_a_row_says_what_is_known(page):
    factories.job(
        display_name="Captain", state="RUNNING", total_steps=420, step=140, epoch=1.1, epochs=3, train_loss=1.2345
    )
    text = words(page())
    for shown in ("Captain", "Running", "epoch 2 of 3 · step 140 of 420", "gemma-3-270m", "1.234"):
        assert shown in text


def test_progress_that_is_not_known_is_not_made_up(page):
    factories.job(state="PENDING")
    text = words(page())
    assert ("Waiting to start" in text, "<progress" in text) == (True, False)


def test_the_loss_is_drawn_when_there_is_a_curve(page):
    factories.job(display_name="Drawn", loss_curve=[4.0, 2.0, 1.0])
    factories.job(display_name="One point", loss_curve=[4.0])
    text = words(page())
    assert text.count("<polyline") == 1
    assert 'points="1.0,2.0 30.0,12.7 59.0,18.0"' in text
    assert 'aria-label="Training loss from 4.000 to 1.000"' in text


@pytest.mark.parametrize("name", ["<i>\"&'", "%(name)s {{ id }}", f"{MARK}id!"], ids=["markup", "places", "mark"])
def test_a_name_is_shown_as_it_is(page, name):
    factories.job(display_name=name, state="RUNNING")
    assert (names(page()), f'aria-label="Actions for {escape(name)}"' in words(page())) == ([escape(name)], True)


def test_rows_that_are_alike_are_drawn_once(page):
    jobs = [
        factories.job(display_name=f"J{number}", state=state) for number, state in enumerate(["FAILED", "RUNNING"] * 3)
    ]
    response = page("/tuning/?sort=name")
    drawn = [template.name for template in response.templates].count("tuning/row.html")
    text = words(response)
    assert (drawn, names(response)) == (2, [job.display_name for job in jobs])
    assert [text.count(f'aria-label="Select {job.display_name}"') for job in jobs] == [1] * 6
    assert [text.count(f'action="/tuning/jobs/{job.pk}/cancel/"') for job in jobs] == [0, 1] * 3


def test_a_failed_row_says_why_in_one_line(page):
    factories.job(state="FAILED", error_message="Out of memory.\nTraceback …")
    assert "<small>Out of memory.</small>" in words(page())


@pytest.mark.parametrize("phase", ["AMBIGUOUS", "NEEDS_DECISION"])
def test_an_unknown_outcome_is_called_so(page, phase):
    factories.job(phase=phase, notice="No answer came.")
    text = words(page())
    assert ("Outcome unknown" in text, 'title="No answer came."' in text) == (True, True)


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("", ["Failed", "Done", "Queued", "Live"]),
        ("?filter=status:running", ["Live"]),
        ("?filter=status:ended", ["Failed", "Done"]),
        ("?filter=status:succeeded+status:queued", ["Done", "Queued"]),
        ("?filter=status:live+name:Li", ["Live"]),
        ("?filter=done", ["Done"]),
        ("?filter=status:nonsense", ["Failed", "Done", "Queued", "Live"]),
    ],
)
def test_the_filter_limits_the_list(page, query, shown):
    for state, name in (("RUNNING", "Live"), ("PENDING", "Queued"), ("SUCCEEDED", "Done"), ("FAILED", "Failed")):
        factories.job(display_name=name, state=state)
    assert names(page(f"/tuning/{query}")) == shown


def test_what_is_typed_becomes_a_part_of_the_address(page):
    response = page("/tuning/?filter=status:failed&add=base:gemma&sort=name")
    assert (response.status_code, response.url) == (302, "/tuning/?filter=status%3Afailed+base%3Agemma&sort=name")


def test_each_chip_can_be_taken_away(page):
    response = page("/tuning/?filter=status:failed+night&sort=-name")
    urls = [url for _chip, url in response.context["chips"]]
    assert urls == ["?filter=name%3Anight&sort=-name", "?filter=status%3Afailed&sort=-name"]
    assert 'aria-label="Remove the filter status:failed"' in words(response)


def test_a_word_that_filters_nothing_says_so(page):
    assert "This status doesn&#x27;t exist." in words(page("/tuning/?filter=status:nonsense"))


def test_the_counters_count_what_is_recent(page):
    now = timezone.now()
    for state, days in (("RUNNING", 0), ("QUEUED", 0), ("PENDING", 0), ("FAILED", 1), ("FAILED", 9), ("SUCCEEDED", 1)):
        ended = None if state in {"RUNNING", "QUEUED", "PENDING"} else now - timedelta(days=days)
        factories.job(state=state, ended_at=ended)
    assert counted(page("/tuning/?filter=status:cancelled")) == [1, 2, 1, 1]


def test_a_counter_shows_what_it_counted_and_takes_the_filter_away_again(page):
    job = factories.job(state="FAILED", ended_at=timezone.now())
    failed = page().context["counters"][3]
    response = page(f"/tuning/{failed['url']}")
    assert names(response) == [job.display_name]
    assert [(one["current"], one["url"]) for one in response.context["counters"]][3] == (True, "?")


def test_a_filter_that_finds_nothing_offers_the_whole_list(page):
    factories.job(state="RUNNING")
    assert "Show all jobs" in words(page("/tuning/?filter=status:ended"))


def current_tabs(response):
    return re.findall(r'<a href="([^"]+)" aria-current="page">', words(response).partition('class="tabs"')[2])[:1]


def test_tabs_say_which_jobs_are_shown_and_count_the_drafts(page):
    factories.draft()
    tabs = {path: current_tabs(page(path)) for path in ("/tuning/", "/tuning/?filter=status:live", "/tuning/drafts/")}
    assert tabs == {path: [path] for path in tabs}
    assert 'Drafts <span class="num">1</span>' in words(page())


@pytest.fixture
def many(owner):
    """60 jobs with repeated values and unknown ones, as columns that sort badly have them; the newest first."""
    AccountPreference.objects.create(user=owner, rows_per_page=25)
    data, states = factories.dataset(), ["SUCCEEDED", "FAILED", "RUNNING"]
    jobs = []
    for number in range(60):
        took = [None, 10, 10, 20][number % 4]
        start = factories.NOW - timedelta(minutes=number // 3)
        jobs.append(
            factories.job(
                dataset=data,
                display_name=f"J{number % 7}-{number:02}"[: 2 if number < 40 else 5],
                created_at=start,
                state=states[number % 3],
                train_loss=[None, 0.1, 0.30000000000000004, 2][number % 4],
                started_at=start,
                ended_at=start + timedelta(seconds=took) if took else None,
            )  # fmt: skip
        )
    return jobs


def unknown_last(jobs, value, descending):
    known = sorted((job for job in jobs if value(job) is not None), key=value, reverse=descending)
    return [value(job) for job in known] + [None for job in jobs if value(job) is None]


@pytest.mark.parametrize(
    "sort", one_of(3, ["created", "-created", "name", "-name", "status", "-status", "loss", "-loss"])
)
@pytest.mark.parametrize("extra", ["", "&filter=status:ended"])
def test_pages_in_any_order_show_each_job_once(page, many, sort, extra):
    wanted = [job for job in many if not extra or job.state != "RUNNING"]
    shown, response = [], page(f"/tuning/?sort={sort}{extra}")
    while True:
        shown += response.context["page"].rows
        if not response.context["page"].next_url:
            break
        response = page(f"/tuning/{response.context['page'].next_url}")
    assert (len(shown), {job.pk for job in shown}) == (len(wanted), {job.pk for job in wanted})


@pytest.mark.parametrize(
    ("sort", "column"),
    [("name", "display_name"), ("loss", "train_loss"), ("duration", "duration"), ("status", "group")],
)
@pytest.mark.parametrize("descending", [False, True])
def test_each_order_is_kept_across_pages(page, many, sort, column, descending):
    group = {"RUNNING": 1, "FAILED": 3, "SUCCEEDED": 4}
    value = (lambda job: group[job.state]) if column == "group" else (lambda job: getattr(job, column))
    shown, response = [], page(f"/tuning/?sort={'-' if descending else ''}{sort}")
    while response.context["page"].next_url:
        shown += response.context["page"].rows
        response = page(f"/tuning/{response.context['page'].next_url}")
    shown += response.context["page"].rows
    assert [value(job) for job in shown] == unknown_last(many, value, descending)


def test_a_heading_sorts_and_says_how_it_is_sorted(page):
    factories.job()
    text = tight(words(page("/tuning/?sort=name")))
    assert '<th scope="col" aria-sort="ascending"><a href="?sort=-name">' in text
    assert "Tuning jobs, sorted by Model name, ascending" in text
    assert '<a href="?">Created</a>' in text


def test_jobs_of_the_same_moment_are_not_skipped(page):
    data = factories.dataset()
    for number in range(52):
        factories.job(dataset=data, display_name=f"J{number:02}", created_at=factories.NOW)
    assert sorted(all_names(page, "/tuning/")) == [f"J{number:02}" for number in range(52)]


@pytest.mark.parametrize("key", ["nonsense", "[]", "[null,1,2]", '[NaN,"2026-11-24","x"]', '{"a":1}', "[" * 2000, "_"])
def test_a_key_that_cannot_be_read_means_the_first_page(page, key):
    factories.job(display_name="Here")
    assert names(page(f"/tuning/?after={key}")) == ["Here"]


def test_the_view_is_kept_with_the_account(page, client, owner):
    factories.job()
    sent = {"column": ["method", "loss"], "density": "compact", "rows": "25", "next": "/tuning/?sort=name"}
    response = client.post("/tuning/view/", sent)
    kept = AccountPreference.objects.get(user=owner)
    assert (response.status_code, response.url) == (303, "/tuning/?sort=name")
    assert (kept.density, kept.rows_per_page) == ("compact", 25)
    assert [heading.head.key for heading in page().context["page"].headings] == ["name", "status", "loss", "method"]
    assert 'class="dt pinned jobs compact"' in words(page())


def test_a_view_that_was_never_offered_changes_nothing(page, client, owner):
    client.post("/tuning/view/", {"density": "huge", "rows": "1000000"})
    kept = AccountPreference.objects.get(user=owner)
    assert (kept.density, kept.rows_per_page) == ("comfortable", 50)


def test_a_live_row_fetches_itself_and_an_ended_one_does_not(page):
    live, ended = factories.job(state="RUNNING"), factories.job(state="SUCCEEDED")
    assert f'hx-get="/tuning/jobs/{live.pk}/row/"' in words(page(f"/tuning/jobs/{live.pk}/row/", **HTMX))
    assert "hx-get" not in words(page(f"/tuning/jobs/{ended.pk}/row/", **HTMX)).partition("</th>")[0]


def test_an_unchanged_row_costs_nothing(page):
    job = factories.job(state="QUEUED")
    etag = page(f"/tuning/jobs/{job.pk}/row/", **HTMX)["ETag"]
    assert page(f"/tuning/jobs/{job.pk}/row/", HTTP_IF_NONE_MATCH=etag, **HTMX).status_code == 304


def test_the_table_is_a_fragment_for_htmx_and_a_page_otherwise(page):
    fragment = page("/tuning/?filter=status:ended", **HTMX)
    assert ("<html" in words(fragment), 'id="tuning-table"' in words(fragment)) == (False, True)
    assert "HX-Request" in fragment["Vary"]


def test_a_ready_endpoint_can_be_tested_from_the_row(page):
    job = factories.job(state="SUCCEEDED")
    endpoint = factories.ready_endpoint(job=job, artifact_uri="gs://b/final")
    assert f"/studio/chat/?endpoint={endpoint.pk}" in words(page())


def test_other_peoples_jobs_are_not_listed(page, team_mate):
    factories.job(owner=team_mate)
    assert (names(page()), counted(page())) == ([], [0, 0, 0, 0])


@pytest.mark.parametrize("rows", [1, 3])
def test_the_page_takes_the_same_queries_for_one_row_and_for_three(page, django_assert_num_queries, rows):
    for _ in range(rows):
        factories.ready_endpoint(job=factories.job(state="SUCCEEDED"), artifact_uri="gs://b/final")
        factories.job(state="QUEUED", prepared_at=factories.NOW)
        factories.draft()
    page()
    with django_assert_num_queries(11):
        page()


def table(response):
    text = b"".join(response.streaming_content).decode().removeprefix("\ufeff")
    return list(csv.DictReader(io.StringIO(text)))


def test_the_list_can_be_taken_away_as_it_is_filtered_and_sorted(page):
    for name, state in (("B", "SUCCEEDED"), ("A", "SUCCEEDED"), ("C", "FAILED")):
        factories.job(display_name=name, state=state, train_loss=-0.5)
    response = page("/tuning/jobs.csv?filter=status:succeeded&sort=name")
    rows = table(response)
    assert [(row["display_name"], row["state"], row["train_loss"]) for row in rows] == [
        ("A", "SUCCEEDED", "-0.5"),
        ("B", "SUCCEEDED", "-0.5"),
    ]
    assert response["Content-Type"] == "text/csv; charset=utf-8"


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_a_name_is_never_a_formula(page, start):
    factories.job(display_name=f"{start}1+1")
    assert table(page("/tuning/jobs.csv"))[0]["display_name"] == f"'{start}1+1"


def test_ticked_jobs_are_cancelled_after_a_question(page, client):
    live, ended = factories.job(state="RUNNING", phase="BOUND"), factories.job(state="SUCCEEDED")
    asked = words(page(f"/tuning/cancel/?job={live.pk}&job={ended.pk}&job=nonsense"))
    assert ("Cancel this job?" in asked, "1 of the selected jobs has already ended" in asked) == (True, True)
    response = client.post("/tuning/cancel/", {"job": [live.pk, ended.pk]})
    assert (response.status_code, response.url) == (303, "/tuning/")
    assert sorted(TuningJob.objects.values_list("state", flat=True)) == ["CANCELLING", "SUCCEEDED"]


def test_other_peoples_jobs_are_not_cancelled(client, page, team_mate):
    job = factories.job(owner=team_mate, state="RUNNING", phase="BOUND")
    client.post("/tuning/cancel/", {"job": [job.pk]})
    job.refresh_from_db()
    assert job.state == "RUNNING"


def test_nothing_to_cancel_is_said(page):
    assert "Nothing to cancel" in words(page("/tuning/cancel/"))
