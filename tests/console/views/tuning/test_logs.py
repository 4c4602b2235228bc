import pytest
from django.utils.html import strip_tags

from tests.support import factories

pytestmark = pytest.mark.django_db
HTMX = {"HTTP_HX_REQUEST": "true"}


@pytest.fixture
def visitor(client, owner):
    client.force_login(owner)
    return client


def words(response):
    return " ".join(response.content.decode().split())


def url(job, rest=""):
    return f"/tuning/jobs/{job.pk}/{rest}"


def running(**values):
    return factories.job(state="RUNNING", started_at=factories.NOW, **values)


def log(visitor, job, query=""):
    return visitor.get(url(job, f"log/{query}"), **HTMX).content.decode().partition("<hx-partial")[0].rstrip()


def test_the_log_is_text_and_never_markup(visitor):
    job = running(log_text="step 1\n<script>alert(1)</script>")
    assert log(visitor, job) == "step 1\n&lt;script&gt;alert(1)&lt;/script&gt;"
    assert "<script>alert" not in words(visitor.get(url(job, "logs/")))


def test_the_page_shows_the_end_of_a_long_log_and_offers_all_of_it(visitor):
    job = running(log_text="\n".join(f"line {number}" for number in range(1100)))
    assert log(visitor, job).splitlines()[0] == "line 100"
    assert "Only the last 1000 of these lines are shown." in words(visitor.get(url(job, "logs/")))
    download = visitor.get(url(job, "log/?download"))
    assert (len(download.content.splitlines()), download["Content-Type"]) == (1100, "text/plain; charset=utf-8")
    assert download["Content-Disposition"] == f'attachment; filename="{job.pk}.log"'


LOG = "INFO step 1\nWARNING slow & loud\nValueError: no amp; amp is missing"


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", "INFO step 1\nWARNING slow &amp; loud\nValueError: no amp; amp is missing"),
        ("?level=warning", "WARNING slow &amp; loud\nValueError: no amp; amp is missing"),
        ("?level=error", "ValueError: no amp; amp is missing"),
        ("?level=nonsense&find=STEP", "INFO <mark>step</mark> 1"),
        ("?find=amp", "ValueError: no <mark>amp</mark>; <mark>amp</mark> is missing"),
        ("?find=%26", "WARNING slow <mark>&amp;</mark> loud"),
        ("?find=<b>", ""),
    ],
)
def test_the_log_is_searched(visitor, query, expected):
    assert log(visitor, running(log_text=LOG), query) == expected


@pytest.mark.parametrize(
    ("kept", "query", "expected"),
    [
        (LOG, "?find=amp", "2 matches for “amp”. Found on 1 of 3 lines."),
        (LOG, "?find=slow", "1 match for “slow”. Found on 1 of 3 lines."),
        ("amp", "?find=amp", "1 match for “amp”. Found on 1 of 1 line."),
        (LOG, "?find=epoch", "No match for “epoch” in 3 lines."),
        ("amp", "?find=epoch", "No match for “epoch” in 1 line."),
        (LOG, "?level=error", "Level “Errors”: 1 of 3 lines."),
        (
            LOG,
            "?find=slow&level=error",
            "No match for “slow” in 3 lines. Only lines of the level “Errors” were searched.",
        ),
        ("", "?find=amp", ""),
        (LOG, "", ""),
    ],
)
def test_the_search_says_what_it_found(visitor, kept, query, expected):
    text = words(visitor.get(url(running(log_text=kept), f"logs/{query}")))
    told = strip_tags(text.partition('id="log-found" role="status">')[2].partition("</p>")[0]).strip()
    assert told == f"{expected} The console keeps the last 200 kB of the log.".strip()


@pytest.mark.parametrize(("query", "is_there"), [("?find=amp", True), ("", False)])
def test_who_has_searched_can_search_on(visitor, query, is_there):
    field = (
        words(visitor.get(url(running(log_text=LOG), f"logs/{query}"))).partition('name="find"')[2].partition(">")[0]
    )
    assert ("autofocus" in field) is is_there


def test_more_lines_than_fit_are_all_counted(visitor):
    text = words(visitor.get(url(running(log_text="step\n" * 1500), "logs/?find=step")))
    assert "1500 matches for “step”. Found on 1500 of 1500 lines. Only the last 1000 of these lines are shown." in text


def test_events_can_be_limited_to_problems(visitor):
    job = running()
    job.events.create(message="Uploaded.")
    job.events.create(message="Slow.", level="WARNING")
    everything = words(visitor.get(url(job, "events/"), **HTMX))
    problems = words(visitor.get(url(job, "events/?events=problems"), **HTMX))
    assert [("Uploaded." in text, "Slow." in text) for text in (everything, problems)] == [(True, True), (False, True)]
