import re
import uuid

import pytest

from jobs.models import Comparison, Endpoint
from tests.console.views.chat.test_conversations import HTMX, words
from tests.support import factories
from tests.support.markup import tight

pytestmark = pytest.mark.django_db

L4, A100 = "g2-standard-12:NVIDIA_L4:1", "a2-ultragpu-1g:NVIDIA_A100_80GB:1"
SPECS = [
    {"machine_type": "g2-standard-12", "accelerator_type": "NVIDIA_L4", "accelerator_count": 1},
    {"machine_type": "a2-ultragpu-1g", "accelerator_type": "NVIDIA_A100_80GB", "accelerator_count": 1},
]


@pytest.fixture
def visitor(client, owner):
    client.force_login(owner)
    return client


@pytest.fixture
def tuned(owner):
    return factories.ready_endpoint(job=factories.job(), artifact_uri="gs://bucket/final", display_name="Tuned")


def listed(**values):
    data = {"overview": "A model.", "licence": "Gemma Terms of Use", "machine_specs": SPECS}
    return factories.publisher_model(**{"data": data} | values)


def offer(tuned):
    return f"/studio/compare/base/{tuned.pk}/"


def chosen(**values):
    return {"key": uuid.uuid4(), "machine": L4, "kind": "FIXED", "hours": "3"} | values


def test_without_the_base_model_it_is_offered_with_machine_cost_and_end(visitor, tuned):
    listed()
    response = visitor.post("/studio/compare/base/", {"key": uuid.uuid4(), "endpoint": tuned.pk})
    assert (response.status_code, response.url) == (303, offer(tuned))
    text = tight(words(visitor.get(response.url)))
    for part in (
        f'value="{L4}" checked',
        f'value="{A100}"',
        "≈ $2.30 for 2 hours",
        'value="FIXED"',
        "Deploy and compare",
    ):
        assert part in text
    assert Endpoint.objects.count() == 1


def test_the_offer_has_prices_of_the_region_of_the_tuned_model(visitor, tuned):
    listed()
    Endpoint.objects.update(location="europe-west4")
    text = words(visitor.get(offer(tuned)))
    assert (text.count("Price unknown"), "$" in text.partition("offer-heading")[2]) == (len(SPECS) + 1, False)


@pytest.mark.parametrize(
    ("picked", "cost"),
    [
        ({"machine": A100, "kind": "FIXED", "hours": "10"}, "≈ $57.82 for 10 hours"),
        ({"machine": L4, "kind": "FIXED", "hours": "1"}, "≈ $1.15 for 1 hour,"),
        ({"machine": L4, "kind": "", "hours": "2"}, "≈ $1.15 per hour while deployed"),
        ({"machine": L4, "kind": "FIXED", "hours": "99999999999"}, "≈ $1.15 per hour"),
        ({"machine": "x"}, "–"),
    ],
)
def test_another_choice_has_another_cost(visitor, tuned, picked, cost):
    listed()
    text = words(visitor.get(offer(tuned), picked, **HTMX))
    assert (cost in text, "<html" in text, "<form" in text) == (True, False, False)


def test_on_this_computer_it_is_free(visitor, tuned):
    factories.publisher_model()
    assert re.search(
        r"Cost</strong>|Cost:</strong> No charge: it runs on this computer", words(visitor.get(offer(tuned)))
    )


def test_the_comparison_opens_at_once_and_waits(visitor, tuned):
    listed()
    data = chosen()
    answers = [visitor.post(offer(tuned), data) for _ in range(2)]
    comparison, new = Comparison.objects.get(), Endpoint.objects.exclude(pk=tuned.pk).get()
    page = f"/studio/compare/{comparison.pk}/"
    assert [(answer.status_code, answer.url) for answer in answers] == [(303, page)] * 2
    assert [column.endpoint for column in comparison.columns.order_by("column")] == [new, tuned]
    assert (new.lease_hours, new.model.machine_type, new.model.accelerator_count) == (3, "g2-standard-12", 1)
    text = words(visitor.get(page))
    assert ("Waiting for a deployment" in text, "Ask all models" in text) == (True, False)
    waiting = words(visitor.get(f"{page}waiting/", **HTMX))
    assert (f"endpoint-{new.pk} from:body" in waiting, "Starting the deployment" in waiting) == (True, True)
    Endpoint.objects.update(state="READY")
    assert visitor.get(f"{page}waiting/", **HTMX)["HX-Redirect"] == page
    text = words(visitor.get(page))
    assert ("Waiting for a deployment" in text, "Ask all models" in text) == (False, True)


def test_a_deployment_that_failed_is_told_in_its_column(visitor, tuned):
    listed()
    visitor.post(offer(tuned), chosen())
    Endpoint.objects.exclude(pk=tuned.pk).update(state="FAILED", error_message="No machine is free.")
    page = f"/studio/compare/{Comparison.objects.get().pk}/"
    assert visitor.get(f"{page}waiting/", **HTMX)["HX-Redirect"] == page
    text = words(visitor.get(page))
    assert ("No machine is free." in text, "Ask all models" in text) == (True, True)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"machine": "x"}, "available for this model. Choose one from the list."),
        ({"hours": ""}, "Enter a whole number of hours from 1 to 720."),
        ({"hours": "721"}, "720"),
        ({"key": ""}, "Open the page again"),
    ],
)
def test_a_wrong_choice_is_named_and_the_others_are_kept(visitor, tuned, values, sentence):
    listed()
    response = visitor.post(offer(tuned), chosen(**values))
    assert (response.status_code, sentence in words(response)) == (422, True)
    assert (Endpoint.objects.count(), Comparison.objects.count()) == (1, 0)


def test_the_licence_is_asked_for(visitor, tuned):
    listed(licence_acknowledged=False)
    assert "I accept the Gemma Terms of Use" in words(visitor.get(offer(tuned)))
    assert visitor.post(offer(tuned), chosen()).status_code == 422
    assert visitor.post(offer(tuned), chosen(accepts_licence="on")).status_code == 303


def test_where_it_cannot_be_deployed_the_page_says_why_and_where_to_go(visitor, tuned):
    listed(can_deploy=False)
    text = words(visitor.get(offer(tuned)))
    assert ("doesn&#x27;t offer deployment" in text, "Deploy and compare" in text) == (True, False)
    assert f'href="/studio/compare/?endpoint={tuned.pk}"' in text
    assert visitor.post(offer(tuned), chosen()).status_code == 409


def test_a_base_that_is_on_its_way_is_waited_for(visitor, tuned):
    listed()
    coming = factories.endpoint(display_name="Coming")
    assert "The endpoint Coming serves it" in words(visitor.get(offer(tuned)))
    visitor.post("/studio/compare/base/", {"key": uuid.uuid4(), "endpoint": tuned.pk})
    comparison = Comparison.objects.get()
    assert [column.endpoint for column in comparison.columns.order_by("column")] == [coming, tuned]
    assert "Waiting for a deployment" in words(visitor.get(f"/studio/compare/{comparison.pk}/"))
