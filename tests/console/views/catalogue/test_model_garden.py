import re
from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from jobs.models import CatalogueSync
from tests.support import factories
from tests.support.factories import NOW
from tests.support.markup import tight

pytestmark = pytest.mark.django_db
URL = "/model-garden/"


@pytest.fixture
def page(client, owner):
    client.force_login(owner)
    return lambda query="", **headers: client.get(f"{URL}{query}", headers=headers)


@pytest.fixture
def models():
    """Of three, one can be used."""
    closed = {"can_tune": False, "can_deploy": False}
    factories.publisher_model(display_name="Gemma 3 270M")
    factories.publisher_model(name="google/gemma3@gemma-3-1b-it", display_name="Gemma 3 1B IT", **closed)
    factories.publisher_model(name="meta/llama3@llama-3-8b", display_name="Llama 3 8B", **closed)


def rows(response):
    return [row["variant"].name for row in response.context["rows"]]


def counts(response, *groups):
    return {
        str(facet.label): facet.count
        for group in response.context["groups"]
        if group.name in groups
        for facet in group.facets
    }


def test_a_visitor_is_asked_to_sign_in(client):
    assert client.get(URL).status_code == 302


def test_families_are_tiles_on_shelves(page, models):
    shelves = page().context["shelves"]
    assert [(shelf.title, [family.title for family in shelf.first_families]) for shelf in shelves] == [
        ("Fine-tunable", ["Gemma 3"]),
        ("Made by Google", ["Gemma 3"]),
        ("Open models", ["Llama 3 8B"]),
    ]


def test_a_badge_is_a_promise(page, models):
    (tile,) = re.findall(r"(?s)<section.*?</section>", page().content.decode())[:1]
    assert re.findall(r'class="badge">([^<]+)', tile) == ["Fine-tunable", "Deployable"]
    factories.publisher_model(name="google/gemma3@gemma-3-4b-pt")
    assert rows(page("?feature=tune")) == ["google/gemma3@gemma-3-270m"]


@pytest.mark.parametrize("query", ["", "?q=gemma", "?q=zzz&provider=google"])
def test_the_number_of_queries_does_not_grow(page, owner, django_assert_num_queries, query):
    expected = 5 if query else 6
    factories.publisher_model()
    factories.job(owner=owner, state="SUCCEEDED")
    with django_assert_num_queries(expected):
        page(query)
    for number in (3, 4):
        factories.publisher_model(name=f"meta/llama{number}@llama-{number}-8b")
        factories.job(owner=owner, state="SUCCEEDED")
    with django_assert_num_queries(expected):
        page(query)


def test_my_tuned_models_have_a_shelf(page, owner, stranger):
    mine = factories.job(owner=owner, state="SUCCEEDED", display_name="Captain")
    factories.job(owner=owner, state="FAILED")
    factories.job(owner=stranger, state="SUCCEEDED")
    assert page().context["tuned"] == [mine]


def test_a_search_answers_with_a_table_and_its_count(page, models):
    response = page("?q=gemma+270m")
    assert rows(response) == ["google/gemma3@gemma-3-270m"]
    content = response.content.decode()
    assert "<mark>Gemma</mark> 3 <mark>270M</mark>" in content
    assert "google/<mark>gemma</mark>3@<mark>gemma</mark>-3-<mark>270m</mark>" in content
    assert "1 model<" in content


def test_the_line_that_matches_is_shown(page):
    factories.publisher_model(data={"overview": "# Small\nA first line.\n* Reads **invoices** well."})
    assert "Reads **<mark>invoices</mark>** well." in page("?q=INVOICES").content.decode()


def test_facets_shrink_with_the_search(page, models):
    assert counts(page("?q=gemma"), "provider", "feature") == {
        "Google": 2, "Meta": 0, "Fine-tunable": 1, "One-click deployment": 1,
    }  # fmt: skip


def test_the_values_of_a_group_are_alternatives_and_groups_are_not(page, models):
    response = page("?provider=meta&provider=google&feature=tune")
    assert rows(response) == ["google/gemma3@gemma-3-270m"]
    assert counts(response, "provider", "collection") == {
        "Google": 1, "Meta": 0, "Made by Google": 1, "Other open models": 0,
    }  # fmt: skip


def test_models_are_found_by_task_and_modality(page, models):
    seeing = {"data": {"modalities": ["text", "image"]}, "can_tune": False, "can_deploy": False}
    factories.publisher_model(name="google/gemma3@gemma-3-4b-it", **seeing)
    assert rows(page("?task=vision")) == rows(page("?modality=image")) == ["google/gemma3@gemma-3-4b-it"]
    assert counts(page(), "task") == {"Chat": 2, "Text completion": 2, "Image understanding": 1}


def test_what_is_on_can_be_taken_away_one_by_one(page, models):
    chosen = page("?q=gemma&provider=google&feature=tune").context["chosen"]
    assert [(str(chip.label), chip.query) for chip in chosen.chips] == [
        ("Google", "?q=gemma&feature=tune"),
        ("Fine-tunable", "?q=gemma&provider=google"),
    ]
    assert (chosen.query_without_words, chosen.query_without_filters) == ("?provider=google&feature=tune", "?q=gemma")


def test_a_value_that_no_model_has_is_shown_as_chosen(page, models):
    response = page("?provider=nobody")
    assert (rows(response), counts(response, "provider")["nobody"]) == ([], 0)
    assert 'value="nobody" checked' in response.content.decode()


def test_what_is_new_is_shown_until_it_is_put_away(client, page, models):
    new = factories.publisher_model(name="qwen/qwen9@qwen9-4b", first_seen_at=timezone.now() - timedelta(days=2))
    factories.publisher_model(name="qwen/qwen8@qwen8-4b", first_seen_at=timezone.now() - timedelta(days=40))
    assert [variant.name for variant in page().context["news"]] == [new.name]
    assert tight(page("?q=qwen").content.decode()).count('badge ok">New') == 1
    assert client.post(reverse("model-garden-dismiss")).status_code == 303
    assert page().context["news"] == []


def test_a_search_is_escaped(page, models):
    assert "<script>" not in page("?q=%3Cscript%3Ealert(1)").content.decode().split("</head>")[1].split("<main")[1]


def test_nothing_found_offers_a_way_back(page, models):
    content = page("?q=zzz").content.decode()
    assert "No models match" in content
    assert "Clear all filters" in content


def test_htmx_gets_the_results_only(page, models):
    response = page("?q=gemma", **{"HX-Request": "true"})
    assert response.content.decode().lstrip().startswith('<form class="garden" id="results"')
    assert response["Vary"].count("HX-Request") == 1


def test_a_catalogue_never_read_says_that_it_is_being_read(page):
    response = page()
    assert response.context["sync"] == {"waiting": True}
    assert 'hx-trigger="models from:body' in response.content.decode()


def test_a_failure_shows_the_age_of_what_is_shown(page, models):
    CatalogueSync.objects.create(
        succeeded_at=NOW - timedelta(days=2), failed_at=NOW, error_message="Vertex AI does not answer."
    )
    content = page().content.decode()
    assert "Showing the catalogue loaded" in content
    assert "Vertex AI does not answer." in content


def test_a_first_failure_is_not_shown_as_waiting(page):
    CatalogueSync.objects.create(failed_at=NOW, error_message="Sign in to Google Cloud first.")
    content = page().content.decode()
    assert "The catalogue could not be loaded" in content
    assert "Loading the catalogue" not in content


def test_a_success_after_a_failure_says_nothing(page, models):
    CatalogueSync.objects.create(succeeded_at=NOW, failed_at=NOW - timedelta(days=2))
    assert page().context["sync"]["failed"] is False


def test_retry_asks_for_a_new_reading(client, owner):
    client.force_login(owner)
    response = client.post(reverse("model-garden-refresh"))
    assert (response.status_code, response["Location"]) == (303, URL)


def test_head_is_answered_as_get_is(client, owner, models):
    client.force_login(owner)
    assert client.head(URL).status_code == 200
