"""The page of the spending limits, and what pages that start something paid say of them."""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from html import unescape
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from console.presenters.components import costs
from jobs.models import PriceSync, SpendingLimits, TuningJob
from jobs.services.costs import spending
from tests.console.views.tuning.test_new import OTHER_MODEL, Wizard, training
from tests.security.test_spending import HOUR, MACHINE, deploy, limit
from tests.support import factories
from tests.support.ledger import ledger_entry

pytestmark = pytest.mark.django_db
URL = "/settings/spending/"


@pytest.fixture
def administrator(client, owner):
    owner.is_superuser = True
    owner.save()
    client.force_login(owner)
    return client


def words(response):
    return unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", response.content.decode())))


def test_an_administrator_sets_the_limits(administrator):
    data = {"person_usd": "50", "console_usd": "200.50", "allows_unknown": "on"}
    assert administrator.post(URL, data).status_code == 303
    found = SpendingLimits.objects.get()
    assert (found.person_usd, found.console_usd, found.allows_unknown) == (Decimal(50), Decimal("200.50"), True)


def test_an_empty_field_takes_the_limit_away(administrator):
    limit(50, 60)
    administrator.post(URL, {"person_usd": "", "console_usd": "60"})
    assert spending.limits().person_usd is None


@pytest.mark.parametrize("text", ["-1", "x", "1e400", "NaN", "9" * 20, "1.234"])
def test_a_wrong_amount_is_kept_and_named(administrator, text):
    response = administrator.post(URL, {"person_usd": text, "console_usd": "7"})
    assert (response.status_code, SpendingLimits.objects.count()) == (422, 0)
    assert "Enter an amount in US dollars" in words(response)
    assert f'value="{text}"' in response.content.decode()


def test_others_see_the_limits_and_cannot_change_them(client, team_mate):
    limit(50)
    client.force_login(team_mate)
    page = client.get(URL)
    assert ("$0.00 of $50.00" in words(page), page.context["form"], page.context["people"]) == (True, None, [])
    assert (client.post(URL, {"person_usd": "9999"}).status_code, spending.limits().person_usd) == (403, Decimal(50))


def test_the_use_of_today_is_shown_by_person(administrator, owner, team_mate):
    limit(50)
    deploy(team_mate)
    text = words(administrator.get(URL))
    assert (f"team-mate ${HOUR}, no limit" in text, "You $0.00 of $50.00" in text) == (True, True)


def test_a_refused_deployment_says_why_in_its_form(administrator, owner):
    limit(1)
    specs = [{"machine_type": MACHINE, "accelerator_type": "NVIDIA_L4", "accelerator_count": 1, "title": ""}]
    factories.publisher_model(data={**factories.publisher_model(name="a/b@c").data, "machine_specs": specs})
    form = {
        "key": "0b8f0a52-1f7c-4f5c-9d8b-1f2a3b4c5d6e", "model": factories.BASE_MODEL, "model_display_name": "Gemma",
        "display_name": "Gemma", "machine": f"{MACHINE}:NVIDIA_L4:1", "min_replicas": "1", "max_replicas": "1",
    }  # fmt: skip
    response = administrator.post("/publishers/google/model-garden/gemma3/deploy/", form)
    assert (response.status_code, "of your daily limit" in words(response)) == (422, True)


@pytest.mark.parametrize(("person", "shown"), [(None, False), (50, True)])
def test_a_deploy_panel_says_that_there_is_a_limit(administrator, person, shown):
    factories.publisher_model()
    limit(person)
    page = administrator.get("/publishers/google/model-garden/gemma3/?action=deploy")
    assert ("Spending limit per person: $50.00 per day." in words(page)) == shown


def test_the_review_says_why_a_job_is_too_much_and_starting_it_makes_nothing(administrator, owner):
    factories.publisher_model(name=OTHER_MODEL, licence_acknowledged=False)
    data = factories.dataset(owner=owner, token_estimate=92_400_000)
    wizard = Wizard(administrator, administrator.get("/tuning/new/")["Location"])
    wizard.post("name", display_name="Ahoy bot")
    wizard.post("base-model", base_model=OTHER_MODEL)
    wizard.post("output", output_uri="gs://garden-local/ahoy")
    wizard.post("training", **training(data))
    limit(1)
    sentence = "You have used $0.00 of your daily limit of $1.00."
    assert (sentence in words(wizard.get("deployment"))) is True
    refused = wizard.start(auto_deploy="")
    assert (refused.status_code, words(refused).count(sentence), TuningJob.objects.count()) == (422, 1, 0)


def test_the_costs_of_thirty_days_outlive_what_cost_them(administrator, owner, team_mate):
    mine = factories.ready_endpoint(owner=owner, display_name="Mine").model
    theirs = factories.ready_endpoint(owner=team_mate, display_name="Theirs").model
    ledger_entry(mine, hours=2)
    ledger_entry(theirs, hours=5, ended_at=None)
    mine.endpoint.delete()
    page = administrator.get(URL)
    assert [(one.name, one.person, one.words, one.is_running) for one in page.context["costs"]] == [
        ("Theirs", team_mate.username, "$6.90", True),
        ("Mine", owner.username, "$2.30", False),
    ]
    assert (page.context["costs_total"], "Total $9.21" in words(page)) == ("$9.21", True)


def test_others_see_their_own_costs(client, owner, team_mate):
    for person in (owner, team_mate):
        ledger_entry(factories.ready_endpoint(owner=person, display_name=person.username).model)
    client.force_login(team_mate)
    page = client.get(URL)
    assert ([one.name for one in page.context["costs"]], page.context["costs_total"]) == ([team_mate.username], "$1.15")
    assert owner.username not in words(page).split("Costs in the last 30 days")[1]


def test_a_deleted_account_keeps_its_costs_in_the_sum(administrator, team_mate):
    ledger_entry(factories.ready_endpoint(owner=team_mate, display_name="Left").model)
    team_mate.delete()
    assert "Left Deployment Deleted account $1.15" in words(administrator.get(URL))


def test_a_page_of_costs_is_bounded_and_its_sum_is_not(administrator, owner):
    model = factories.ready_endpoint(owner=owner).model
    for _ in range(costs.MAX_ROWS + 2):
        ledger_entry(model, group_id=uuid4(), usd_per_hour=1)
    page = administrator.get(URL)
    assert (len(page.context["costs"]), page.context["costs_total"]) == (costs.MAX_ROWS, f"${costs.MAX_ROWS + 2}.00")
    assert "The total includes 2 items that aren't listed." in words(page)


def test_the_page_takes_the_same_queries_for_one_cost_and_for_three(administrator, owner):
    counted = []
    for _ in range(2):
        ledger_entry(factories.ready_endpoint(owner=owner).model)
        ledger_entry(factories.ready_endpoint(owner=owner).model, ended_at=None)
        with CaptureQueriesContext(connection) as queries:
            administrator.get(URL)
        counted.append(len(queries))
    assert counted[0] == counted[1]


NEW, OLD = datetime(2026, 7, 9, tzinfo=UTC), datetime(2026, 10, 7, tzinfo=UTC)
TABLE = "The prices of machines come from a table of list prices as of 2026-07-08."
READ = "The prices of machines come from Google's price catalogue, read on 2026-07-09."


@pytest.mark.parametrize(
    ("sync", "now", "told", "warnings"),
    [
        (None, NEW, TABLE, []),
        (None, OLD, TABLE, ["These prices are more than 90 days old."]),
        ({"succeeded_at": NEW}, NEW, READ, []),
        ({"succeeded_at": NEW, "failed_at": NEW, "error_message": "It is off."}, NEW, READ, ["It is off."]),
        ({"failed_at": NEW, "error_message": "It is off."}, NEW, TABLE, ["It is off."]),
        ({"succeeded_at": NEW}, OLD + timedelta(days=1), READ, ["These prices are more than 90 days old."]),
    ],
)
def test_the_page_says_where_prices_come_from(monkeypatch, db, sync, now, told, warnings):
    if sync:
        PriceSync.objects.create(pk=1, **sync)
    monkeypatch.setattr(timezone, "now", lambda: now)
    found = costs.prices_context()
    assert found["price_sentences"] == [told]
    assert [warning in told for warning, told in zip(warnings, found["price_warnings"], strict=True)] == [
        True for _ in warnings
    ]


def test_no_price_of_google_s_on_this_computer(administrator, settings):
    settings.VERTEX_API_ENDPOINT = "http://127.0.0.1:1"
    page = administrator.get(URL)
    assert (page.context["price_sentences"], "Costs in" in words(page)) == ([], False)
