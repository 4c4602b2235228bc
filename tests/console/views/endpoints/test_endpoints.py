import re
from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from jobs.models import EndpointReport, MachinePrice
from jobs.services.costs import ledger
from jobs.services.endpoints.reports import reports
from tests.support import factories
from tests.support.ledger import ledger_entry
from tests.support.markup import tight

pytestmark = pytest.mark.django_db
HTMX = {"HTTP_HX_REQUEST": "true"}


@pytest.fixture
def visitor(client, owner):
    client.force_login(owner)
    return client


def words(response):
    return " ".join(response.content.decode().split())


def names(response):
    return re.findall(r'<th scope="row"><a href="/endpoints/[^"]+">([^<]+)</a>', tight(words(response)))


def url(endpoint, rest=""):
    return f"/endpoints/{endpoint.pk}/{rest}"


def test_an_empty_list_says_what_to_do(visitor):
    text = words(visitor.get("/endpoints/"))
    assert ("No endpoints" in text, "Go to Model Garden" in text) == (True, True)


def test_a_row_says_what_is_deployed_where(visitor):
    endpoint = factories.ready_endpoint(
        machine_type="g2-standard-12", accelerator_type="NVIDIA_L4", accelerator_count=1
    )
    text = words(visitor.get("/endpoints/"))
    for shown in ("My endpoint", "Ready", "gemma-3-270m", "g2-standard-12, 1 × NVIDIA L4", "$1.15"):
        assert shown in text
    assert f"/studio/chat/?endpoint={endpoint.pk}" in text


@pytest.mark.parametrize(
    ("stage", "shown"),
    [("PREPARING_MODEL", "Preparing the model"), ("SOMETHING_NEW", "Something new"), ("", "Deploying")],
)
def test_a_deployment_says_how_far_it_is(visitor, stage, shown):
    assert shown in words(visitor.get(url(factories.endpoint(stage=stage), "row/"), **HTMX))


def test_a_stage_is_not_shown_any_more_when_it_is_over(visitor):
    endpoint = factories.ready_endpoint(stage="FINISHING_UP")
    assert "Finishing up" not in words(visitor.get(url(endpoint)))


def test_one_that_sleeps_says_so_and_what_wakes_it(visitor):
    endpoint = factories.ready_endpoint(is_asleep=True, available_replicas=0)
    text = words(visitor.get(url(endpoint)))
    assert "Asleep: the endpoint hasn't been used for a while" in text
    assert "The next request wakes it, which takes a few seconds." in text
    assert ">Asleep</span>" in words(visitor.get("/endpoints/"))


def test_deleted_and_other_peoples_endpoints_are_not_listed(visitor, team_mate):
    factories.endpoint(state="DELETED")
    factories.endpoint(owner=team_mate)
    factories.endpoint(display_name="Mine")
    assert names(visitor.get("/endpoints/")) == ["Mine"]


def test_pages_of_fifty_follow_each_other_without_gap(visitor):
    for number in range(51):
        factories.endpoint(display_name=f"E{number:02}", created_at=factories.NOW - timedelta(minutes=number))
    first = visitor.get("/endpoints/")
    assert names(visitor.get(f"/endpoints/{first.context['page'].next_url}")) == ["E50"]


def test_an_unchanged_row_costs_nothing(visitor):
    path = url(factories.endpoint(), "row/")
    assert visitor.get(path, HTTP_IF_NONE_MATCH=visitor.get(path, **HTMX)["ETag"], **HTMX).status_code == 304


def test_a_ready_endpoint_shows_how_a_program_asks_it(visitor):
    text = words(visitor.get(url(factories.ready_endpoint())))
    assert [title in text for title in ("curl", "OpenAI client", "google-cloud-aiplatform")] == [True] * 3


def test_an_endpoint_that_does_not_answer_shows_no_request(visitor):
    assert "Sample request" not in words(visitor.get(url(factories.endpoint())))


def test_a_failed_endpoint_says_why(visitor):
    endpoint = factories.endpoint(
        state="FAILED", error_code="RESOURCE_EXHAUSTED", error_message="No free machine. Choose another one."
    )
    text = words(visitor.get(url(endpoint)))
    assert ("No free machine. Choose another one." in text, "RESOURCE_EXHAUSTED" in text) == (True, True)


@pytest.mark.parametrize(("state", "polls"), [("DEPLOYING", True), ("READY", False), ("FAILED", False)])
def test_only_an_endpoint_that_changes_polls(visitor, state, polls):
    text = words(visitor.get(url(factories.endpoint(state=state), "status/"), **HTMX))
    assert ("every 10s" in text) == polls


def test_an_update_renews_the_buttons_as_well(visitor):
    text = words(visitor.get(url(factories.endpoint(), "status/"), **HTMX))
    assert '<hx-partial hx-target="#endpoint-bar" hx-swap="outerMorph">' in text
    assert "hx-partial" not in words(visitor.get(url(factories.endpoint())))


def test_undeploying_keeps_the_endpoint(visitor):
    endpoint = factories.ready_endpoint()
    response = visitor.post(url(endpoint, "undeploy/"))
    endpoint.refresh_from_db()
    assert (response.status_code, response.url, endpoint.state) == (303, url(endpoint), "UNDEPLOYING")


def test_undeploying_nothing_is_refused_in_words(visitor):
    response = visitor.post(url(factories.endpoint(state="FAILED"), "undeploy/"), **HTMX)
    assert (response.status_code, "Nothing is deployed" in words(response)) == (409, True)


def test_deleting_leads_back_to_the_list(visitor):
    endpoint = factories.ready_endpoint()
    response = visitor.post(url(endpoint, "delete/"))
    endpoint.refresh_from_db()
    assert (response.status_code, response.url, endpoint.state) == (303, "/endpoints/", "DELETING")


def test_a_deleted_endpoint_takes_itself_off_the_page(visitor):
    endpoint = factories.endpoint(state="DELETED")
    response = visitor.get(url(endpoint, "row/"), **HTMX)
    assert (response.status_code, response["HX-Reswap"], response.content) == (200, "delete", b"")
    assert visitor.get(url(endpoint, "status/"), **HTMX)["HX-Redirect"] == "/endpoints/"
    assert visitor.get(url(endpoint)).status_code == 404


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ("UNDEPLOYED", "Nothing is deployed on this endpoint. Delete it if you do not need it."),
        ("UNDEPLOYING", "The model is already undeployed or being undeployed."),
        ("FAILED", "Nothing is deployed on this endpoint. Delete it if you do not need it."),
    ],
)
def test_why_undeploy_is_off_is_said(visitor, state, reason):
    assert f'title="{reason}"' in words(visitor.get(url(factories.endpoint(state=state))))


def test_a_tuned_model_leads_to_its_job(visitor):
    job = factories.job(state="SUCCEEDED")
    endpoint = factories.ready_endpoint(job=job, artifact_uri="gs://b/final")
    assert f"/tuning/jobs/{job.pk}/" in words(visitor.get(url(endpoint)))


@pytest.mark.parametrize("rows", [1, 3])
def test_the_list_takes_the_same_queries_for_one_row_and_for_three(visitor, django_assert_num_queries, rows):
    for _ in range(rows):
        factories.ready_endpoint(machine_type="g2-standard-12")
    with django_assert_num_queries(10):
        visitor.get("/endpoints/")


def test_the_detail_page_takes_a_fixed_number_of_queries(visitor, django_assert_num_queries):
    talk = factories.conversation(endpoint=factories.ready_endpoint(machine_type="g2-standard-12"))
    for _ in range(3):
        answer(talk)
    visitor.get(url(talk.endpoint))
    with django_assert_num_queries(18):
        visitor.get(url(talk.endpoint))


def answer(talk, **values):
    defaults = {"role": "assistant", "created_at": timezone.now()}
    return factories.message(conversation=talk, **defaults | values)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", ["Third", "Second", "First"]),
        ("?state=ready", ["Second"]),
        ("?state=changing", ["Third"]),
        ("?state=nonsense", ["Third", "Second", "First"]),
        ("?q=sec", ["Second"]),
        ("?q=270m+third", ["Third"]),
        ("?q=%00", ["Third", "Second", "First"]),
        ("?sort=name", ["First", "Second", "Third"]),
        ("?sort=-name", ["Third", "Second", "First"]),
        ("?sort=status", ["Third", "First", "Second"]),
        ("?sort=created", ["First", "Second", "Third"]),
        ("?sort=secret", ["Third", "Second", "First"]),
    ],
)
def test_filtered_and_sorted_by_the_address(visitor, query, found):
    states = [("First", "FAILED"), ("Second", "READY"), ("Third", "DEPLOYING")]
    for minute, (name, state) in enumerate(states):
        moment = factories.NOW + timedelta(minutes=minute)
        factories.endpoint(display_name=name, state=state, created_at=moment)
    assert names(visitor.get(f"/endpoints/{query}")) == found


def test_nothing_found_is_not_the_same_as_nothing_there(visitor):
    factories.endpoint()
    assert "No endpoints match the filter." in words(visitor.get("/endpoints/?q=other"))


def test_the_sorted_column_says_so(visitor):
    factories.endpoint()
    text = words(visitor.get("/endpoints/?sort=name&q=my"))
    assert re.findall(r'aria-sort="(\w+)"><a href="([^"]+)"', tight(text)) == [("ascending", "?sort=-name&amp;q=my")]


def test_requests_of_a_day_are_counted(visitor):
    talk = factories.conversation(endpoint=factories.ready_endpoint())
    answer(talk)
    answer(talk, created_at=timezone.now() - timedelta(days=2))
    row = words(visitor.get(url(talk.endpoint, "row/"), **HTMX))
    assert ('<span class="num">1</span>' in row, row.count("<rect")) == (True, 1)


@pytest.mark.parametrize(
    ("machine", "asked", "shown"),
    [
        ("g2-standard-12", None, "Idle, incurs costs"),
        ("unheard-of", None, "Idle, might incur costs"),
        ("local-cpu", None, ""),
        ("g2-standard-12", timedelta(hours=23), ""),
    ],
)
def test_an_endpoint_that_costs_for_nothing_is_marked(visitor, machine, asked, shown):
    now = timezone.now()
    seen = now - asked if asked else None
    began = now - timedelta(days=3)
    endpoint = factories.ready_endpoint(machine_type=machine, started_at=began, last_request_at=seen)
    row = words(visitor.get(url(endpoint, "row/"), **HTMX))
    assert re.findall(r'<span class="badge warn">([^<]+)', row) == [shown] * bool(shown)


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ({"machine_type": "g2-standard-12", "min_replicas": 2, "max_replicas": 2}, "$2.30"),
        ({"machine_type": "unheard-of"}, "Unknown"),
        ({"machine_type": "local-cpu"}, "No cost"),
        ({"machine_type": "g2-standard-12", "state": "UNDEPLOYED"}, "–"),
    ],
)
def test_what_an_hour_costs(visitor, values, shown):
    text = words(visitor.get(url(factories.ready_endpoint(**values))))
    assert re.findall(r"Cost per hour</dt><dd><span[^>]*>([^<]+)", text) == [shown]


@pytest.mark.parametrize(
    ("server", "hour", "so_far", "warning", "machine"),
    [
        ("http://127.0.0.1:1", "No cost", [], "", "This computer"),
        ("", "Unknown", ["Unknown: this machine has no known price"], "Idle, might incur costs", "Chosen by Vertex AI"),
    ],
)
def test_weights_without_a_chosen_machine_are_free_on_this_computer_alone(
    visitor, settings, server, hour, so_far, warning, machine
):
    settings.VERTEX_API_ENDPOINT = server
    began = timezone.now() - timedelta(days=3)
    endpoint = factories.ready_endpoint(machine_type="", base_model="", artifact_uri="gs://b/w", started_at=began)
    ledger.follow(endpoint.model, timezone.now())
    text = tight(words(visitor.get(url(endpoint))))
    assert re.findall(r"Cost per hour</dt><dd><span[^>]*>([^<]+)", text) == [hour]
    assert re.findall(r"Cost so far</dt><dd>([^<]+)", text) == so_far
    assert (machine in text, "costs money" in text and not warning) == (True, False)
    row = words(visitor.get(url(endpoint, "row/"), **HTMX))
    assert re.findall(r'<span class="badge warn">([^<]+)', row) == [warning] * bool(warning)


def test_what_it_has_cost_so_far_is_an_estimate(visitor):
    began = timezone.now() - timedelta(hours=10)
    over = {"state": "UNDEPLOYED", "started_at": began, "ended_at": began + timedelta(hours=2)}
    endpoint = factories.ready_endpoint(machine_type="g2-standard-12", **over)
    ledger_entry(endpoint.model, hours=2)
    assert "Cost so far</dt><dd>$2.30<span" in tight(words(visitor.get(url(endpoint))))


def test_what_it_has_cost_so_far_counts_models_that_left(visitor):
    endpoint = factories.ready_endpoint(machine_type="g2-standard-12")
    gone = factories.deployed_model(endpoint=endpoint, state="UNDEPLOYED")
    ledger_entry(endpoint.model, hours=2)
    ledger_entry(gone, hours=3)
    assert "Cost so far</dt><dd>$5.75<span" in tight(words(visitor.get(url(endpoint))))
    ledger_entry(gone, usd_per_hour=None)
    assert "Cost so far</dt><dd>$5.75 + unknown<span" in tight(words(visitor.get(url(endpoint))))


@pytest.mark.parametrize(
    ("region", "read_ago", "cost", "note"),
    [
        ("us-central1", None, "$1.15", "List price in us-central1. Google Cloud, the price table"),
        ("us-central1", timedelta(0), "$3.00", "price catalogue, read on"),
        ("europe-west4", None, "Unknown", "The price of this machine in europe-west4 is unknown."),
    ],
)
def test_the_page_says_where_a_price_comes_from(visitor, region, read_ago, cost, note):
    if read_ago is not None:
        MachinePrice.objects.create(
            machine_type="g2-standard-12", region=region, usd_per_hour=3, read_at=timezone.now() - read_ago
        )
    text = words(visitor.get(url(factories.ready_endpoint(machine_type="g2-standard-12", location=region))))
    assert re.findall(r"Cost per hour</dt><dd><span[^>]*>([^<]+)", text) == [cost]
    assert note in text


def test_a_price_of_long_ago_comes_with_a_warning(visitor, monkeypatch):
    endpoint = factories.ready_endpoint(machine_type="g2-standard-12")
    for day, warned in ((datetime(2026, 10, 6, tzinfo=UTC), 0), (datetime(2026, 10, 7, tzinfo=UTC), 1)):
        monkeypatch.setattr(timezone, "now", lambda day=day: day)
        text = words(visitor.get(url(endpoint)))
        assert text.count('<span class="muted small">This price is more than 90 days old.') == warned


@pytest.mark.parametrize(("title", "tokens", "why"), [("8K context", "8,192", True), ("", "32,768", False)])
def test_an_endpoint_says_how_much_it_reads_and_why_that_is_less(visitor, title, tokens, why):
    machine = {"machine_type": "local-cpu", "accelerator_type": "", "accelerator_count": 0, "title": title}
    factories.publisher_model(data={"context_tokens": 32768, "machine_specs": [machine]})
    text = words(visitor.get(url(factories.ready_endpoint(machine_type="local-cpu"))))
    assert re.findall(r"Context</dt> <dd> ([\d,]+) tokens", text) == [tokens]
    assert ("The model was made for 32,768" in text) is why


def test_a_deployment_shows_its_stages_with_their_times(visitor):
    begun = [["PREPARING_MODEL", "2026-11-24T12:00:00+00:00"], ["STARTING_MODEL_SERVER", "2026-11-24T12:01:15+00:00"]]
    endpoint = factories.endpoint(stage="STARTING_MODEL_SERVER", stage_times=begun)
    text = words(visitor.get(url(endpoint)))
    steps = re.findall(r'<li class="(\w+)"><span class="st [^"]+"><svg.*?</svg>([^<]+)', tight(text))
    assert steps == [
        ("done", "Preparing the model"), ("current", "Starting the model server"), ("todo", "Finishing up"),
        ("todo", "Deployed"),
    ]  # fmt: skip
    assert "12:00:00 · 1 min 15 s" in text


def test_metrics_of_the_console_s_own_requests(visitor):
    talk = factories.conversation(endpoint=factories.ready_endpoint())
    answer(talk, timings={"first_token": 0.5, "total": 2.5}, usage={"prompt_tokens": 7, "completion_tokens": 40})
    answer(talk, state="FAILED", timings={"total": 1.0})
    text = words(visitor.get(url(talk.endpoint, "?period=1h")))
    figures = re.findall(r'<dd class="num"[^>]*>([^<]+)', text)
    assert figures == ["2", "1", "0.50 s", "0.50 s", "20.0", "7", "40"]
    for said in ("2 requests, 1 failed", "Median 0.50 s, 95th percentile 0.50 s", "Median 20.0/s", "Axis: 0 to 2"):
        assert said in text


def test_one_request_is_not_many(visitor):
    talk = factories.conversation(endpoint=factories.ready_endpoint())
    answer(talk)
    assert "1 request, 0 failed" in words(visitor.get(url(talk.endpoint, "?period=1h")))


def test_metrics_as_a_table(visitor):
    talk = factories.conversation(endpoint=factories.ready_endpoint())
    answer(talk)
    text = words(visitor.get(url(talk.endpoint, "?period=14d&table")))
    assert (text.count('<th scope="row" class="num">'), "plot-svg" in text) == (28, False)


def test_without_requests_that_is_said(visitor):
    assert "No requests in this period." in words(visitor.get(url(factories.ready_endpoint(), "?period=nonsense")))


def test_the_activity_is_shown_newest_first(visitor):
    endpoint = factories.ready_endpoint()
    for message in ("It began.", "It went on."):
        endpoint.events.create(message=message)
    text = words(visitor.get(url(endpoint)))
    assert 0 < text.index("It went on.") < text.index("It began.")


def test_a_lease_counts_down_and_can_be_extended(visitor):
    until = timezone.now() + timedelta(hours=2)
    endpoint = factories.ready_endpoint(lease_kind="FIXED", lease_hours=3, undeploy_at=until)
    text = words(visitor.get(url(endpoint)))
    assert ("Undeploys automatically" in text, "in 1 hour, 59 minutes" in text, "Extend by 3 hours" in text) == (
        True,
    ) * 3
    seen = re.findall(r'name="seen" value="([^"]+)"', text)
    assert (seen, visitor.post(url(endpoint, "extend/"), {"seen": seen[0]}).status_code) == ([until.isoformat()], 303)
    endpoint.refresh_from_db()
    assert endpoint.undeploy_at == until + timedelta(hours=3)


@pytest.mark.parametrize(("server", "is_named"), [("", True), ("http://127.0.0.1:1", False)])
def test_cloud_monitoring_is_named_only_where_it_counts(visitor, settings, server, is_named):
    settings.VERTEX_API_ENDPOINT = server
    undeploy_at = timezone.now() + timedelta(hours=2)
    endpoint = factories.ready_endpoint(lease_kind="IDLE", lease_hours=3, undeploy_at=undeploy_at)
    sentence = "Requests from other programs count only where Cloud Monitoring reports them."
    pages = [words(visitor.get(address)) for address in ("/endpoints/", url(endpoint))]
    assert [sentence in page for page in pages] == [is_named] * 2


def make_report(endpoint, *parts, kind="1h", **values):
    """Cloud Monitoring's answer: requests, errors and latency of the last parts of the period."""
    period, now = reports.PERIODS[kind], timezone.now().replace(second=0, microsecond=0)
    rest = [(0, 0, None)] * (period.parts - len(parts))
    data = [
        [(now - period.length + period.part * number).isoformat(), requests, errors, seconds, seconds, 2]
        for number, (requests, errors, seconds) in enumerate([*rest, *parts])
    ]
    row = {"asked_at": now, "read_at": now, "told_at": now, "data": data} | values
    return EndpointReport.objects.create(endpoint=endpoint, kind=kind, **row)


def test_metrics_of_everybody_come_from_cloud_monitoring(visitor):
    talk = factories.conversation(endpoint=factories.ready_endpoint())
    answer(talk, created_at=timezone.now() - timedelta(minutes=3), timings={"first_token": 0.5, "total": 2.5})
    make_report(talk.endpoint, (7, 1, 1.5), (5, 0, 0.25))
    text = words(visitor.get(url(talk.endpoint, "?period=1h")))
    assert re.findall(r'<dd class="num"[^>]*>([^<]+)', text)[:5] == ["12", "1", "2", "0.50 s", "0.50 s"]
    for said in (
        "12 requests, 1 failed",
        "counted by Cloud Monitoring",
        "Time to the whole answer",
        "Axis: 0 to 1.50 s",
    ):
        assert said in text
    table = words(visitor.get(url(talk.endpoint, "?period=1h&table")))
    assert (table.count('<th scope="row" class="num">'), "Answer, p95" in table) == (12, True)


def test_where_monitoring_has_counted_less_the_own_requests_are_shown(visitor):
    talk = factories.conversation(endpoint=factories.ready_endpoint())
    make_report(talk.endpoint, (1, 0, 0.5))
    for _ in range(3):
        answer(talk, created_at=timezone.now() - timedelta(minutes=3))
    text = words(visitor.get(url(talk.endpoint, "?period=1h")))
    assert "3 requests, 0 failed" in text
    assert "The count for all programs isn't complete yet." in text


def test_what_was_asked_since_the_last_count_is_added(visitor):
    talk = factories.conversation(endpoint=factories.ready_endpoint())
    make_report(talk.endpoint, (2, 1, 0.5))
    for state in ("COMPLETE", "FAILED"):
        answer(talk, state=state, created_at=timezone.now())
    text = words(visitor.get(url(talk.endpoint, "?period=1h")))
    assert ("4 requests, 2 failed" in text, "those of all programs" in text) == (True, True)


def test_a_missing_right_is_named_beside_the_own_figures(visitor):
    talk = factories.conversation(endpoint=factories.ready_endpoint())
    answer(talk)
    make_report(
        talk.endpoint, told_at=None, data=[], error="The role roles/monitoring.viewer is missing. Run: gcloud x"
    )
    text = words(visitor.get(url(talk.endpoint, "?period=1h")))
    assert "1 request, 0 failed" in text
    assert "The role roles/monitoring.viewer is missing. Run: gcloud x" in text
    assert "aren't counted" in text.replace("&#x27;", "'")


def test_the_list_counts_what_others_ask(visitor):
    endpoint = factories.ready_endpoint(last_request_at=timezone.now())
    make_report(endpoint, (41, 0, 0.5), (1, 0, 0.5), kind="1d")
    assert "42" in words(visitor.get("/endpoints/"))


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (None, "The log is being read."),
        ({"data": ["2026-11-30 05:00:00 <b>ready</b>"]}, "2026-11-30 05:00:00 &lt;b&gt;ready&lt;/b&gt;"),
        ({"data": []}, "The model servers have written nothing in the last two days."),
        (
            {"data": [], "told_at": None, "error": "The role is missing. Run: gcloud x"},
            "The role is missing. Run: gcloud x",
        ),
    ],
)
def test_an_endpoint_has_a_log(visitor, values, said):
    endpoint = factories.ready_endpoint()
    if values is not None:
        now = timezone.now()
        EndpointReport.objects.create(
            endpoint=endpoint, kind="log", **{"asked_at": now, "read_at": now, "told_at": now} | values
        )
    assert said in words(visitor.get(url(endpoint)))
    assert said in words(visitor.get(url(endpoint, "log/"), **HTMX))


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"state": "DEPLOYING"}, "Logs appear after Vertex AI has created the endpoint."),
        (
            {"state": "FAILED", "phase": "CLOSED"},
            "because Vertex AI didn't create the endpoint.",
        ),
    ],
)
def test_an_endpoint_that_was_not_created_says_why_it_has_no_log(visitor, values, said):
    assert said in words(visitor.get(url(factories.endpoint(**values), "log/"), **HTMX))


def test_a_look_asks_the_worker_once_for_each_part(visitor, sent, django_capture_on_commit_callbacks):
    endpoint = factories.ready_endpoint()
    with django_capture_on_commit_callbacks(execute=True):
        for _ in range(3):
            visitor.get(url(endpoint, "?period=7d"))
        visitor.get(url(endpoint, "metrics/?period=7d"), **HTMX)
    asked = [arguments["kind"] for name, arguments in sent() if name == "endpoints.report"]
    assert asked == ["7d", "log"]
