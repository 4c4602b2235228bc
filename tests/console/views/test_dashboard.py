import json
import re
from datetime import timedelta

import pytest
from django.utils import timezone

from jobs.models import CatalogueSync, Heartbeat, ProbeResult
from tests.support import factories
from tests.support.ledger import ledger_entry

pytestmark = pytest.mark.django_db
HTMX = {"HTTP_HX_REQUEST": "true"}


@pytest.fixture
def page(client, owner):
    client.force_login(owner)
    return lambda path="/", **headers: client.get(path, **headers)


def words(response):
    return " ".join(response.content.decode().split())


def test_an_empty_console_says_what_to_do_first(page):
    text = words(page())
    assert "Tune a model on your own examples" in text
    assert "No endpoints" in text
    assert [page().context[name] for name in ("running_count", "queued_count", "ready_count")] == [0, 0, 0]


def test_counters_count_what_is_mine(page, team_mate):
    for state in ("RUNNING", "CANCELLING", "QUEUED", "PENDING", "QUEUED", "SUCCEEDED", "FAILED"):
        factories.job(state=state)
    factories.job(state="RUNNING", owner=team_mate)
    factories.ready_endpoint()
    factories.endpoint()
    context = page("/dashboard/counters/", **HTMX).context
    assert [context[name] for name in ("running_count", "queued_count", "ready_count")] == [2, 3, 1]


def test_the_newest_five_jobs_are_shown_with_their_progress(page):
    for number in range(6):
        factories.job(display_name=f"Job {number}", state="RUNNING", total_steps=420, step=140, epoch=0.7)
    text = words(page("/dashboard/jobs/", **HTMX))
    assert re.findall(r">(Job \d)</a>", text) == [f"Job {number}" for number in (5, 4, 3, 2, 1)]
    assert text.count("epoch 1 of 2 · step 140 of 420") == 5


def test_a_ready_endpoint_leads_to_the_chat(page):
    endpoint = factories.ready_endpoint()
    assert f"/studio/chat/?endpoint={endpoint.pk}" in words(page("/dashboard/endpoints/", **HTMX))


def test_a_deployment_says_how_far_it_is(page):
    factories.endpoint(stage="STARTING_MODEL_SERVER")
    assert "Starting the model server" in words(page("/dashboard/endpoints/", **HTMX))


def test_a_deleted_endpoint_is_not_shown(page):
    factories.endpoint(state="DELETED")
    assert page().context["endpoints"] == []


def test_a_part_that_works_is_not_named(page):
    for name in ("worker", "beat"):
        Heartbeat.objects.create(name=name, seen_at=timezone.now())
    CatalogueSync.objects.create(succeeded_at=timezone.now())
    text = words(page("/dashboard/status/", **HTMX))
    assert ("Workers" in text, "Broker" in text, "Loaded" in text) == (False, True, True)


def test_a_silent_worker_is_not_said_to_work(page):
    Heartbeat.objects.create(name="worker", seen_at=timezone.now() - timedelta(seconds=90))
    text = words(page("/dashboard/status/", **HTMX))
    assert "The worker last reported 90 seconds ago. Jobs, deployments and chats wait." in text


def test_a_catalogue_that_cannot_be_read_says_why(page):
    CatalogueSync.objects.create(error_message="Vertex AI does not answer.", failed_at=timezone.now())
    text = words(page("/dashboard/status/", **HTMX))
    assert ("Failed to load" in text, "Vertex AI does not answer." in text) == (True, True)


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        (["projects/p/1"], "1 tuning job runs on Vertex AI but isn't in this console: projects/p/1. It may"),
        (["a", "b"], "2 tuning jobs run on Vertex AI but aren't in this console: a, b. They may cost money"),
    ],
)
def test_jobs_that_nobody_here_started_are_named(page, names, sentence):
    assert "Unknown jobs" not in words(page("/dashboard/status/", **HTMX))
    Heartbeat.objects.create(name="surplus", seen_at=timezone.now(), detail=json.dumps(names))
    assert sentence in words(page("/dashboard/status/", **HTMX))


@pytest.mark.parametrize("section", ["setup", "counters", "jobs", "endpoints", "status"])
def test_a_section_fetches_itself_and_costs_nothing_when_unchanged(page, section):
    path = f"/dashboard/{section}/"
    first = page(path, **HTMX)
    assert f'hx-get="{path}"' in words(first)
    assert page(path, HTTP_IF_NONE_MATCH=first["ETag"], **HTMX).status_code == 304


def test_there_is_no_other_section(page):
    assert page("/dashboard/secrets/").status_code == 404


@pytest.mark.parametrize("rows", [1, 3])
def test_the_page_takes_the_same_queries_for_one_row_and_for_three(page, django_assert_num_queries, rows):
    for _ in range(rows):
        factories.job()
        factories.ready_endpoint(machine_type="g2-standard-12")
    page()
    with django_assert_num_queries(36):
        page()


@pytest.mark.parametrize(
    ("machines", "cost"),
    [([], "No cost"), (["local-cpu"], "No cost"), (["g2-standard-12", "g2-standard-12"], "$2.30"), (["x"], "Unknown"),
     (["g2-standard-12", "x"], "$1.15 + unknown")],
)  # fmt: skip
def test_what_runs_costs_what_its_machines_cost(page, machines, cost):
    for machine in machines:
        factories.ready_endpoint(machine_type=machine)
    factories.ready_endpoint(state="UNDEPLOYED", machine_type="g2-standard-12")
    assert page("/dashboard/counters/", **HTMX).context["hourly_cost"] == cost


def test_what_was_spent_lately_counts_what_is_gone(page, owner, team_mate):
    gone, other = (factories.ready_endpoint(owner=one, state="UNDEPLOYED").model for one in (owner, team_mate))
    ledger_entry(gone, hours=2)
    ledger_entry(gone, hours=9, started_at=timezone.now() - timedelta(days=31))
    ledger_entry(gone, hours=24, started_at=timezone.now() - timedelta(days=30, hours=12))
    ledger_entry(other, hours=100)
    gone.endpoint.delete()
    assert page("/dashboard/counters/", **HTMX).context["spent"] == "$16.11"


@pytest.mark.parametrize(("server", "shown"), [("", "No cost"), ("http://127.0.0.1:1", "")])
def test_what_was_spent_is_no_question_on_this_computer(page, settings, server, shown):
    settings.VERTEX_API_ENDPOINT = server
    assert page("/dashboard/counters/", **HTMX).context["spent"] == shown


def test_an_empty_console_shows_the_way_to_a_chat(page):
    steps = page().context["setup"]
    assert [(str(step.title), step.is_done, step.is_next) for step in steps] == [
        ("Connect", False, True), ("Bucket", False, False), ("Dataset", False, False), ("Tune", False, False),
        ("Chat", False, False),
    ]  # fmt: skip


def test_the_way_goes_on_at_the_first_step_that_is_not_done(page):
    for name in ("vertex", "storage"):
        ProbeResult.objects.create(name=name, state="ok", checked_at=timezone.now())
    factories.dataset()
    assert [step.is_next for step in page().context["setup"]] == [False, False, False, True, False]


def test_the_way_is_gone_with_the_first_chat(page):
    factories.conversation()
    assert page().context["setup"] == []


def test_a_job_shows_its_loss_and_an_endpoint_its_cost(page):
    factories.job(loss_curve=[2.0, 1.5, 1.0], train_loss=1.0)
    factories.ready_endpoint(machine_type="g2-standard-12")
    text = words(page())
    assert ("<polyline" in text, "1.000" in text, "$1.15" in text) == (True, True, True)


def test_idle_models_that_cost_are_shown_with_what_was_not_made_here(page, settings):
    settings.VERTEX_API_ENDPOINT = ""
    long_ago = timezone.now() - timedelta(days=9, hours=1)
    factories.ready_endpoint(display_name="Own", started_at=long_ago, machine_type="g2-standard-12")
    factories.found_resource(display_name="Theirs", created_at=long_ago, usd_per_hour=None)
    for number in range(5):
        factories.found_resource(display_name=f"Dear {number}", created_at=long_ago, usd_per_hour=90 + number)
    text = words(page("/dashboard/idle/", **HTMX))
    assert re.findall(r">(Own|Theirs|Dear \d)</a>", text) == ["Theirs", *(f"Dear {number}" for number in (4, 3, 2, 1))]
    assert (text.count("Not made here"), "$94.00 an hour" in text, "and 2 more" in text) == (5, True, True)
    assert "no known requests since it was deployed 9 days ago" in text


def test_a_console_without_idle_models_shows_no_such_card(page):
    factories.ready_endpoint(started_at=timezone.now() - timedelta(days=9), machine_type="local-cpu")
    assert "Idle models" not in words(page())
