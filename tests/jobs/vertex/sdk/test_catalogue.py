"""Replies as Google gives them, where they differ from the local server's."""

import json
from typing import Any

import pytest

from jobs.vertex.errors import NotAuthorised
from jobs.vertex.sdk import Gateway
from jobs.vertex.values import MachineSpec, Precision
from tests.support.misbehaving_server import answer, bad_server, error

SPEC = {"machineType": "g2-standard-12", "acceleratorType": "NVIDIA_L4", "acceleratorCount": 1}
OPTION = {
    "title": "vLLM 128K context",
    "modelDisplayName": "gemma-3-1b-it",
    "dedicatedResources": {"machineSpec": SPEC},
    "deployMetadata": {"sampleRequest": '{"@requestFormat":"chatCompletions","max_tokens":100}'},
}
GEMMA: dict[str, Any] = {
    "name": "publishers/google/models/gemma3",
    "versionId": "gemma-3-1b-it",
    "openSourceCategory": "GOOGLE_OWNED_OSS_WITH_GOOGLE_CHECKPOINT",
    "launchStage": "GA",
    "supportedActions": {"multiDeployVertex": {"multiDeployVertex": [OPTION, {"title": "New"}]}},
}
GEMINI = {"name": "publishers/google/models/gemini-9", "versionId": "default", "openSourceCategory": "PROPRIETARY"}


def listed(settings, *models):
    with bad_server(answer(200, {"publisherModels": models})) as server:
        settings.VERTEX_API_ENDPOINT = server.address
        found = Gateway().catalogue.list_models()
    assert server.requests[0].path.startswith("/v1beta1/publishers/%2A/models?")
    assert "&view=2&" in f"{server.requests[0].path}&"  # the full one: only there is a description
    return found


def test_an_open_model_and_its_options(settings):
    (model,) = listed(settings, GEMMA, GEMINI)
    assert (model.name, model.display_name) == ("google/gemma3@gemma-3-1b-it", "Gemma 3 1B IT")
    assert (model.launch_stage, model.can_tune, model.licence, model.overview) == ("GA", True, "", "")
    assert model.machine_specs[0] == MachineSpec("g2-standard-12", "NVIDIA_L4", 1, "vLLM 128K context")
    assert model.sample_request == {"@requestFormat": "chatCompletions", "max_tokens": 100}


def test_a_version_that_is_a_number_is_no_title(settings):
    diffusion = {"name": "publishers/stability-ai/models/stable-diffusion-2-1", "versionId": "001"}
    (model,) = listed(settings, GEMMA | diffusion)
    assert model.display_name == "Stable Diffusion 2 1"


def test_what_its_documents_tell(settings):
    told = {"Use cases": "* chat", "Context tokens": "32768", "Modalities": "text, image", "OVERVIEW": "Small."}
    entries = [{"title": title, "content": content} for title, content in told.items()]
    actions = {"viewRestApi": {"documentations": entries}}
    (model,) = listed(settings, GEMMA | {"supportedActions": actions})
    assert (model.context_tokens, model.modalities, model.parameters) == (32768, ("text", "image"), "")
    assert (model.overview, model.documents) == ("Small.", {"use cases": "* chat"})


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('{"temperature": 0.2, "top_p": 0.9, "top_k": 40}', {"temperature": 0.2, "top_p": 0.9, "top_k": 40}),
        ('{"temperature": "hot", "top_p": true, "top_k": NaN, "min_p": 0.1}', {}),
        ('{"temperature": -1, "top_k": 1e99, "frequency_penalty": -3}', {}),
        ('{"frequency_penalty": -0.5, "presence_penalty": 1}', {"frequency_penalty": -0.5, "presence_penalty": 1}),
        ("[1]", {}),
        ("hot", {}),
        ("", {}),
    ],
)
def test_how_a_model_is_sampled(settings, text, found):
    entries = [{"title": "Sampling", "content": text}]
    (model,) = listed(settings, GEMMA | {"supportedActions": {"viewRestApi": {"documentations": entries}}})
    assert model.sampling == found


def test_what_was_imported_and_takes_no_room_any_more_is_told_from_what_was_not_imported(settings):
    found = []
    for text in ("0", "4096", "many", ""):
        entries = [{"title": "Imported bytes", "content": text}]
        (model,) = listed(settings, GEMMA | {"supportedActions": {"viewRestApi": {"documentations": entries}}})
        found.append(model.imported_bytes)
    assert found == [0, 4096, 0, None]


def test_whether_a_model_knows_tools(settings):
    found = []
    for text in ("yes", "no", "perhaps", ""):
        entries = [{"title": "Tools", "content": text}]
        (model,) = listed(settings, GEMMA | {"supportedActions": {"viewRestApi": {"documentations": entries}}})
        found.append(model.knows_tools)
    assert found == [True, False, None, None]


def test_an_accelerator_newer_than_the_client(settings):
    option = {"dedicatedResources": {"machineSpec": SPEC | {"acceleratorType": 999}}}
    (model,) = listed(settings, GEMMA | {"supportedActions": {"multiDeployVertex": {"multiDeployVertex": [option]}}})
    assert model.machine_specs[0].accelerator_type == "999"


def test_a_sample_that_is_not_json(settings):
    option = OPTION | {"deployMetadata": {"sampleRequest": "curl …"}}
    (model,) = listed(settings, GEMMA | {"supportedActions": {"deploy": option}})
    assert model.sample_request == {}


def test_no_models(settings):
    assert listed(settings) == []


def test_tokens_that_nobody_may_count_are_a_missing_right(settings):
    with bad_server(error(403, "PERMISSION_DENIED")) as server:
        settings.VERTEX_API_ENDPOINT = server.address
        with pytest.raises(NotAuthorised):
            Gateway().catalogue.count_tokens("google/gemma3@gemma-3-1b-it", [{"messages": []}])


Q8_0 = {"kind": "q8_0", "bytes": 4 * 10**9, "memory": 5 * 10**9, "tokens_per_second": 20.5, "default": True}


def precisions_of(settings, content):
    entries = {"documentations": [{"title": "Quantizations", "content": content}]}
    (model,) = listed(settings, GEMMA | {"supportedActions": GEMMA["supportedActions"] | {"viewRestApi": entries}})
    return model.precisions


def test_precisions_of_the_local_server(settings):
    unknown = Q8_0 | {"kind": "", "tokens_per_second": None, "memory": 0, "default": False}
    found = precisions_of(settings, json.dumps({"base": [Q8_0, unknown], "moon": [Q8_0]}))
    assert found == {
        "base": (Precision("q8_0", 4 * 10**9, 5 * 10**9, 20.5, True), Precision("", 4 * 10**9)), "full": (),
    }  # fmt: skip


@pytest.mark.parametrize("number", [10**400, float("inf"), float("nan"), -1, "fast", None])
def test_a_pace_that_no_machine_has_is_left_out(settings, number):
    entries = [{"title": "Training pace", "content": json.dumps({"FULL": {"load": 1, "step": 1, "token": number}})}]
    (model,) = listed(settings, GEMMA | {"supportedActions": {"viewRestApi": {"documentations": entries}}})
    assert model.paces == {}


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "[" * 100_000, '{"base": 1}', *(json.dumps({"base": [Q8_0 | wrong]}) for wrong in (
        {"kind": "<b>"}, {"bytes": -1}, {"bytes": "many"}, {"memory": 10**20}, {"tokens_per_second": "fast"},
        {"bytes": float("inf")}, {"tokens_per_second": 10**400},
    ))],
)  # fmt: skip
def test_what_is_no_list_of_precisions_is_left_out(settings, content):
    assert precisions_of(settings, content) == {}
