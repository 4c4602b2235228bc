from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from jobs.models import CatalogueSync, Heartbeat, PublisherModel
from jobs.services.catalogue import facts as facts_of_models, policies, publisher_models
from tests.support import factories

NAME, LARGER = factories.BASE_MODEL, "google/gemma3@gemma-3-4b-it"


@pytest.mark.django_db
def test_sync_keeps_what_the_pages_show(fake_gateway, settings):
    settings.VERTEX_API_ENDPOINT = "http://127.0.0.1:8085"
    publisher_models.sync(factories.NOW)
    model = PublisherModel.objects.get(name=NAME)
    assert (model.publisher, model.family, model.version) == ("google", "gemma3", "gemma-3-270m")
    assert (model.can_tune, model.can_deploy, model.licence_acknowledged) == (True, True, False)
    assert model.data["machine_specs"][0] == {
        "machine_type": "g2-standard-12", "accelerator_type": "NVIDIA_L4", "accelerator_count": 1, "title": "vLLM",
    }  # fmt: skip
    assert CatalogueSync.objects.get().succeeded_at == factories.NOW
    assert Heartbeat.objects.get(name="vertex").seen_at == factories.NOW


@pytest.mark.django_db
@pytest.mark.parametrize(("told", "kept"), [(False, {"knows_tools": False}), (True, {"knows_tools": True}), (None, {})])
def test_sync_keeps_whether_a_model_knows_tools(fake_gateway, told, kept):
    fake_gateway.catalogue.models[NAME] = replace(fake_gateway.catalogue.models[NAME], knows_tools=told)
    publisher_models.sync(factories.NOW)
    data = PublisherModel.objects.get(name=NAME).data
    assert {name: value for name, value in data.items() if name == "knows_tools"} == kept


@pytest.mark.django_db
def test_what_only_the_local_server_tunes_is_not_tuned_on_google_cloud(fake_gateway, settings):
    settings.VERTEX_API_ENDPOINT = ""
    fake_gateway.catalogue.models[LARGER] = replace(fake_gateway.catalogue.models[NAME], name=LARGER)
    publisher_models.sync(factories.NOW)
    model = PublisherModel.objects.get(name=NAME)
    assert (model.can_tune, model.can_deploy) == (False, True)
    assert policies.why_not_tune(model) == "Vertex AI doesn't offer tuning for this model."
    assert PublisherModel.objects.get(name=LARGER).can_tune is True


@pytest.mark.django_db
def test_a_failure_keeps_the_old_rows_and_says_why(fake_gateway):
    publisher_models.sync(factories.NOW)
    fake_gateway.unavailable("catalogue.list_models")
    publisher_models.sync(factories.NOW)
    read = CatalogueSync.objects.get()
    assert (read.succeeded_at, read.failed_at) == (factories.NOW, factories.NOW)
    assert read.error_message == "Vertex AI does not answer."
    assert PublisherModel.objects.only_listed().count() == len(fake_gateway.catalogue.models)


@pytest.mark.django_db
def test_a_model_that_is_gone_is_not_listed(fake_gateway):
    publisher_models.sync(factories.NOW)
    del fake_gateway.catalogue.models[NAME]
    publisher_models.sync(factories.NOW)
    assert PublisherModel.objects.get(name=NAME).is_listed is False


@pytest.mark.django_db
def test_an_empty_catalogue_is_a_failure_and_unlists_nothing(fake_gateway):
    publisher_models.sync(factories.NOW)
    listed = PublisherModel.objects.only_listed().count()
    fake_gateway.catalogue.models.clear()
    publisher_models.sync(factories.NOW)
    read = CatalogueSync.objects.get()
    assert PublisherModel.objects.only_listed().count() == listed
    assert (read.failed_at, read.error_message) == (
        factories.NOW, "Vertex AI returned an empty list of models. Nothing was changed.",
    )  # fmt: skip


@pytest.mark.django_db
def test_a_model_is_new_when_it_appears_in_a_catalogue_read_before(fake_gateway):
    newest = fake_gateway.catalogue.models.pop(NAME)
    publisher_models.sync(factories.NOW)
    fake_gateway.catalogue.models[NAME] = newest
    for day in range(1, 3):
        publisher_models.sync(factories.NOW + timedelta(days=day))
    seen = dict(PublisherModel.objects.values_list("name", "first_seen_at"))
    assert seen.pop(NAME) == factories.NOW + timedelta(days=1)
    assert set(seen.values()) == {None}


@pytest.mark.django_db
def test_what_a_catalogue_does_not_tell_comes_from_the_table(fake_gateway):
    told = {"parameters": "270M", "context_tokens": 9, "modalities": ("text", "image"), "documents": {"use cases": "x"}}
    fake_gateway.catalogue.models[NAME] = replace(fake_gateway.catalogue.models[NAME], **told)
    publisher_models.sync(factories.NOW)
    names = ("parameters", "context_tokens", "modalities", "documents")
    data = {model.name: [model.data[name] for name in names] for model in PublisherModel.objects.all()}
    assert data["google/gemma3@gemma-3-27b-it"] == ["", 131072, ["text", "image"], {}]
    assert data["local/tiny@tiny-gemma3"] == ["", 0, [], {}]
    assert data[NAME] == ["270M", 9, ["text", "image"], {"use cases": "x"}]


@pytest.mark.django_db
def test_the_licence_state_follows_vertex(fake_gateway):
    fake_gateway.catalogue.acknowledged.add(NAME)
    publisher_models.sync(factories.NOW)
    assert PublisherModel.objects.get(name=NAME).licence_acknowledged is True
    fake_gateway.catalogue.acknowledged.clear()
    publisher_models.sync(factories.NOW)
    assert PublisherModel.objects.get(name=NAME).licence_acknowledged is False


@pytest.mark.django_db
def test_a_licence_that_cannot_be_read_stays_unknown(fake_gateway):
    fake_gateway.unavailable("catalogue.licence_acknowledged", times=9)
    publisher_models.sync(factories.NOW)
    assert PublisherModel.objects.get(name=NAME).licence_acknowledged is None


def test_facts_of_the_local_model():
    facts = facts_of_models.tuning_facts(NAME)
    modes = ("PEFT_ADAPTER", "FULL")
    assert (facts.modes, facts.max_sequence_tokens, facts.usd_per_million_tokens) == (modes, 2048, Decimal(0))
    assert facts.defaults["PEFT_ADAPTER"].adapter_size in facts.adapter_sizes
    assert (facts.defaults["FULL"].learning_rate, facts.defaults["FULL"].adapter_size) == (2e-5, None)


@pytest.mark.parametrize("size", ["1b", "4b", "12b"])
def test_the_small_gemmas_are_tuned_in_full_only(size):
    facts = facts_of_models.tuning_facts(f"google/gemma3@gemma-3-{size}-it")
    assert (facts.modes, facts.adapter_sizes, facts.defaults["FULL"].adapter_size) == (("FULL",), (), None)


def test_on_google_cloud_only_the_container_tunes_what_the_local_server_does(settings):
    settings.VERTEX_API_ENDPOINT = ""
    settings.VERTEX_TRAINER_IMAGE = "us-central1-docker.pkg.dev/p/garden/garden-trainer:1"
    facts = facts_of_models.tuning_facts(NAME)
    assert (facts.modes, facts.managed_modes, facts.usd_per_million_tokens) == (("PEFT_ADAPTER",), (), None)


def test_unknown_and_pretrained_models_have_no_facts():
    assert (facts_of_models.tuning_facts("a/b@c"), facts_of_models.tuning_facts("google/gemma3@gemma-3-4b-pt")) == (
        None,
        None,
    )


def test_models_whose_tuned_form_google_does_not_list_as_deployable():
    names = facts_of_models._all_facts()["models"]
    facts = {name: facts_of_models.tuning_facts(name) for name in names}
    assert [name for name, known in facts.items() if not known.is_listed_for_custom_weights] == [
        "qwen/qwen3@qwen3-14b",
        "meta/llama3-3@llama-3.3-70b-instruct",
    ]


def test_llama_4_is_tuned_on_short_rows_with_images():
    facts = facts_of_models.tuning_facts("meta/llama4@llama-4-scout-17b-16e-instruct")
    assert (facts.modes, facts.max_sequence_tokens, facts.modality) == (("PEFT_ADAPTER",), 2048, "text and image")
    assert facts.usd_per_million_tokens == Decimal("5.77")


def test_each_fact_names_its_source_and_day():
    names = facts_of_models._all_facts()["models"]
    facts = [facts_of_models.tuning_facts(name) for name in names]
    assert all(fact.source and fact.as_of and set(fact.defaults) == set(fact.modes) for fact in facts)


APACHE = "https://www.apache.org/licenses/LICENSE-2.0"
GEMMA, QWEN, UNKNOWN = "google/gemma3@gemma-3-4b-it", "qwen/qwen3@qwen3-4b", "acme/novel@novel-7b"


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("name", "answer", "expected"),
    [
        (GEMMA, False, "Gemma Terms of Use"),
        (GEMMA, None, "Gemma Terms of Use"),
        (GEMMA, True, ""),
        (QWEN, False, "Apache-2.0"),
        (QWEN, None, ""),
        (UNKNOWN, False, "terms of Novel 7B"),
        (UNKNOWN, None, ""),
        (UNKNOWN, True, ""),
    ],
)
def test_terms_are_asked_for_where_the_catalogue_tells_no_licence(fake_gateway, name, answer, expected):
    """As Google's does not, for any model."""
    catalogue = fake_gateway.catalogue
    catalogue.models[name] = replace(
        catalogue.models[NAME], name=name, display_name="Novel 7B", licence="", licence_url=""
    )
    catalogue.unaccepted = set() if answer else {name}
    if answer is None:
        fake_gateway.unavailable("catalogue.licence_acknowledged", times=99)
    publisher_models.sync(factories.NOW)
    model = PublisherModel.objects.get(name=name)
    assert (model.licence_acknowledged, policies.licence_to_accept(model)) == (answer, expected)
    assert model.data["licence_url"] == {GEMMA: "https://ai.google.dev/gemma/terms", QWEN: APACHE}.get(name, "")
