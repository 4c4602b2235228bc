import pytest

from jobs.vertex.errors import NO_TOOLS, LicenceRequired, NotFound, Refused
from tests.fakes import GEMMA_27B, GEMMA_270M, TINY


@pytest.fixture
def models(world):
    return {model.name: model for model in world.gateway.catalogue.list_models()}


def test_models_have_short_names(models):
    assert {TINY, GEMMA_270M, GEMMA_27B} <= set(models)


def test_a_model_that_can_be_deployed_says_on_what(models):
    assert models[TINY].can_tune
    assert models[TINY].machine_specs[0].machine_type


def test_a_model_without_deploy_options_cannot_be_tuned_here(world, models):
    if world.name == "google":  # which offers it
        assert models[GEMMA_27B].machine_specs[0].accelerator_type == "NVIDIA_L4"
        return
    assert (models[GEMMA_27B].machine_specs, models[GEMMA_27B].can_tune) == ((), False)


def test_a_model_has_a_title_and_a_licence(world, models):
    """Google's catalogue tells no licence."""
    assert models[GEMMA_270M].display_name == "Gemma 3 270M"
    assert models[GEMMA_270M].licence == ("" if world.name == "google" else "Gemma Terms of Use")


def test_the_licence_comes_before_the_deployment(world):
    catalogue = world.gateway.catalogue
    assert not catalogue.licence_acknowledged(GEMMA_270M)
    with pytest.raises(LicenceRequired):
        world.gateway.deployment.deploy(world.deploy_spec(publisher_model=GEMMA_270M))
    catalogue.acknowledge_licence(GEMMA_270M)
    assert catalogue.licence_acknowledged(GEMMA_270M)


def test_a_model_without_terms_counts_as_accepted(world):
    assert world.gateway.catalogue.licence_acknowledged(TINY)


def test_the_licence_of_an_unknown_model(world):
    with pytest.raises(NotFound):
        world.gateway.catalogue.licence_acknowledged("google/gemma3@gemma-3-999b")


def test_rows_with_tools_are_refused_where_the_template_has_no_place_for_them(world):
    if world.name == "google":
        pytest.skip("Google counts without the chat template.")
    asked = {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]}
    tool = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}
    with pytest.raises(Refused) as caught:
        world.gateway.catalogue.count_tokens(TINY, [asked, {**asked, "tools": [tool]}])
    assert caught.value.code == NO_TOOLS


@pytest.mark.parametrize(
    ("model", "code"),
    [
        ("gemma-3-270m", "INVALID_ARGUMENT"),
        ("google/gemma3@gemma-3-999b", "NOT_FOUND"),
        (GEMMA_27B, "FAILED_PRECONDITION"),
    ],
)
def test_a_base_model_that_cannot_be_tuned_is_refused(world, model, code):
    if world.name == "google" and model == GEMMA_27B:
        model, code = GEMMA_270M, "INVALID_ARGUMENT"  # the one that only the local server tunes
    with pytest.raises(Refused) as caught:
        world.gateway.tuning.create(world.spec(base_model=model))
    assert caught.value.code == code


def test_the_weights_of_a_base_model_are_written_into_the_bucket(world):
    """Sent again, the same files go to the same names."""
    uri = f"gs://garden-local/exported-{world.name}"
    for _turn in range(2):
        operation = world.gateway.catalogue.export_weights(TINY, uri)
        assert world.finished(operation).error is None
    names = {found.name for found in world.gateway.storage.list_folder(uri, "", 50).objects}
    assert {"config.json", "model.safetensors"} <= names


def test_the_weights_of_an_unknown_model_are_not_there(world):
    with pytest.raises(NotFound):
        world.gateway.catalogue.export_weights("google/gemma3@gemma-3-999b", "gs://garden-local/exported")
