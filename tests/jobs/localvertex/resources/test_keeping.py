import pytest
from google.cloud.aiplatform_v1beta1.types import (
    CountTokensRequest,
    DeployedModel,
    Endpoint,
    GenerationConfig,
    Model,
    ModelSourceInfo,
)

from jobs.localvertex.api.errors import ApiError
from jobs.localvertex.resources.keeping import keep_asked, refuse_changes, refuse_others


def test_all_that_was_asked_for_is_kept_but_what_the_server_sets():
    wanted = Endpoint(display_name="d", labels={"a": "b"}, etag="theirs", dedicated_endpoint_dns="theirs")
    wanted.deployed_models = [DeployedModel(id="1")]
    kept = keep_asked(wanted, name="ours")
    assert kept == Endpoint(name="ours", display_name="d", labels={"a": "b"})
    assert wanted.etag == "theirs"


def test_inside_messages_too():
    wanted = Model(container_spec={"image_uri": "i"}, explanation_spec={"parameters": {"top_k": 3}})
    wanted.model_source_info = ModelSourceInfo(copy=True)
    kept = keep_asked(wanted)
    assert (kept.explanation_spec.parameters.top_k, kept.container_spec.image_uri) == (3, "i")
    assert "model_source_info" not in kept


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (CountTokensRequest(endpoint="e", contents=[{"role": "user"}]), "contents"),
        (CountTokensRequest(endpoint="e", system_instruction={"role": "user"}), "system_instruction.role"),
        (CountTokensRequest(endpoint="e", system_instruction={}), "system_instruction"),
    ],
)
def test_what_is_not_read_is_refused_by_its_name(request_, field):
    with pytest.raises(ApiError) as caught:
        refuse_others(request_, ("endpoint", "generation_config"))
    assert caught.value.details[0]["fieldViolations"][0]["field"] == field


def test_what_is_known_is_known_with_all_below():
    config = GenerationConfig(seed=1, speech_config={"language_code": "en"})
    refuse_others(CountTokensRequest(endpoint="e", generation_config=config), ("endpoint", "generation_config"))


def test_only_changes_are_refused():
    stored = Endpoint(name="n", display_name="d", labels={"a": "b"}, etag="e")
    refuse_changes(Endpoint(name="n", display_name="d", labels={"a": "b"}), stored, ["etag"], "endpoint.")
    refuse_changes(Endpoint(name="n", create_time={"seconds": 5}), stored, ["etag"], "endpoint.")
    with pytest.raises(ApiError, match=r"endpoint\.labels cannot be updated. What can: etag\."):
        refuse_changes(Endpoint(name="n", labels={"a": "c"}, etag="x"), stored, ["etag"], "endpoint.")
