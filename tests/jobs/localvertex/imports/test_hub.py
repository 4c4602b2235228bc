"""What a hub refuses, in sentences that say what to do. All of it by Hugging Face's own client."""

import json

import pytest

from jobs.localvertex.api.errors import ApiError
from jobs.localvertex.imports.hub import explain_errors, list_repository, require_client
from jobs.localvertex.imports.source import Repository

REPOSITORY = Repository("acme/tiny")
FILES = {"config.json": b"{}"}


def refusal(repository: Repository = REPOSITORY, token: str = "") -> tuple[str, str]:
    with pytest.raises(ApiError) as found:
        list_repository(repository, token)
    return found.value.status, found.value.message


def test_a_repository_is_listed_with_sizes_sums_and_licence(hub):
    card = {"license": "other", "license_name": "gemma"}
    made = hub.add("acme/tiny", FILES | {"m.safetensors": b"x" * 9}, card=card, parameters=7)
    found = list_repository(REPOSITORY, "")
    assert (found.revision, found.licence, found.is_gated, found.parameters) == (made.sha, "gemma", False, 7)
    assert [(one.name, one.size, len(one.sha256), len(one.git_sha1)) for one in found.files] == [
        ("config.json", 2, 0, 40), ("m.safetensors", 9, 64, 0),
    ]  # fmt: skip
    assert found.texts == {"config.json": b"{}"}


@pytest.mark.parametrize(
    ("about", "token", "status", "sentence"),
    [
        ({"gated": "auto"}, "", "PERMISSION_DENIED", "is gated: its publisher wants to know who uses it."),
        ({"gated": "manual"}, "hf_other", "PERMISSION_DENIED", "Ask for access on the model's page"),
        ({"private": True}, "", "NOT_FOUND", "or it is private, and needs a token. Check the name."),
        ({"private": True}, "hf_other", "NOT_FOUND", "the account of this token may not see it"),
        ({}, "unknown", "PERMISSION_DENIED", "Hugging Face does not know this token."),
        ({"status": 403}, "hf_other", "PERMISSION_DENIED", "Give it the right to read models."),
        ({"status": 429}, "", "UNAVAILABLE", "does not answer now (status 429)"),
        ({"status": 500}, "", "UNAVAILABLE", "does not answer now (status 500)"),
        ({"status": 418}, "", "FAILED_PRECONDITION", "refused to give acme/tiny (status 418)"),
    ],
)
def test_each_refusal_has_its_remedy(hub, about, token, status, sentence):
    hub.add("acme/tiny", FILES, **about)
    found = refusal(token=token)
    assert (found[0], sentence in found[1]) == (status, True), found


def test_a_repository_or_revision_that_is_not_there_is_named(hub):
    assert "Hugging Face has no model acme/tiny" in refusal()[1]
    hub.add("acme/tiny", FILES)
    assert "acme/tiny has no revision 'v9'" in refusal(Repository("acme/tiny", "v9"))[1]


def test_a_hub_that_nobody_reaches_is_unavailable(monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:1")
    status, message = refusal()
    assert (status, "http://127.0.0.1:1 cannot be reached" in message) == ("UNAVAILABLE", True)


@pytest.mark.parametrize("parameters", ["many", 1e400, pytest.param(10**400, id="too many"), [], {}])
def test_a_hub_that_answers_otherwise_is_named(hub, parameters):
    hub.add("acme/tiny", FILES, parameters=parameters)
    status, message = refusal()
    assert (status, "does not answer as Hugging Face does" in message) == ("FAILED_PRECONDITION", True)


def test_an_answer_that_is_nested_too_deeply_is_a_sentence():
    said = r"does not answer as Hugging Face does \(RecursionError\)"
    with pytest.raises(ApiError, match=said), explain_errors(REPOSITORY, ""):
        json.loads("[" * 100_000)


def test_a_size_beyond_every_disk_is_none(hub):
    hub.add("acme/tiny", FILES | {"m.gguf": b"x"}, sizes={"m.gguf": 10**400})
    assert [one.size for one in list_repository(REPOSITORY, "").files if one.name == "m.gguf"] == [-1]


def test_a_token_goes_to_the_hub_alone_and_into_no_message(hub):
    hub.add("acme/tiny", FILES, gated="auto", tokens=("hf_right",))
    list_repository(REPOSITORY, "hf_right")
    assert {headers.get("authorization") for *_, headers in hub.asked} == {"Bearer hf_right"}
    assert "hf_wrong" not in refusal(token="hf_wrong")[1]


def test_a_token_of_the_environment_is_not_used(hub, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_of_the_machine")
    hub.add("acme/tiny", FILES)
    list_repository(REPOSITORY, "")
    assert {headers.get("authorization") for *_, headers in hub.asked} == {None}


def test_a_configuration_that_is_far_too_large_is_not_read(hub):
    hub.add("acme/tiny", FILES, sizes={"config.json": 10**12})
    assert "config.json of acme/tiny is far larger" in refusal()[1]
    hub.add("acme/tiny", FILES, sizes={"config.json": 1})
    assert "sent more of config.json than it said" in refusal()[1]


def test_a_server_without_the_client_says_how_to_get_it():
    assert require_client() is None
    with pytest.raises(ApiError, match="is installed without huggingface_hub"):
        require_client(lambda _name: None)


def test_names_that_lead_out_of_the_folder_end_it(hub):
    hub.add("acme/tiny", FILES | {"../../evil.json": b"{}"})
    assert "'../../evil.json', which would lead out of its folder" in refusal()[1]
