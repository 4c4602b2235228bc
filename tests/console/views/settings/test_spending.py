"""The page of the spending limits, and what pages that start something paid say of them."""

import re
from decimal import Decimal
from html import unescape

import pytest

from jobs.models import SpendingLimits, TuningJob
from jobs.services.costs import spending
from tests.console.views.tuning.test_new import OTHER_MODEL, Wizard, training
from tests.security.test_spending import HOUR, MACHINE, deploy, limit
from tests.support import factories

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
