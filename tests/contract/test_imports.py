"""Imports by the console's gateway, from a hub on loopback into a local Vertex AI: a program of its own."""

import time
from uuid import uuid4

import httpx
import pytest

from jobs.localvertex.instant.model import TEMPLATE, write_model
from jobs.vertex.errors import NotAuthorised, NotFound, Refused
from jobs.vertex.hub import ImportSpec
from jobs.vertex.sdk import Gateway
from jobs.vertex.values import DeploySpec
from tests.support.hub import serve_hub
from tests.support.localservers import local_servers

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
KEY, REPOSITORY, MODEL = "the key of this contract", "acme/Tiny-Gemma", "hf-acme/tiny-gemma@001"
SECONDS = 120


@pytest.fixture(scope="module")
def hub():
    with serve_hub() as found:
        yield found


@pytest.fixture(scope="module")
def servers(hub, tmp_path_factory):
    folder = tmp_path_factory.mktemp("imports")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_ENDPOINT", hub.address)
        patch.setenv("LOCALVERTEX_IMPORT_KEY", KEY)
        with local_servers(folder, ["--instant"]) as started:
            yield started


@pytest.fixture
def imports(servers, hub, settings, tmp_path):
    settings.VERTEX_API_ENDPOINT, settings.VERTEX_IMPORT_KEY = servers.address, KEY
    write_model(tmp_path, "contract")
    (tmp_path / "chat_template.jinja").write_text(TEMPLATE)
    files = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    hub.add(REPOSITORY, files, card={"license": "apache-2.0"}, gated="auto", tokens=("hf_right",))
    return Gateway().imports


def wait_until_ended(imports, id):
    until = time.monotonic() + SECONDS
    while (found := imports.get(id)).state == "RUNNING" and time.monotonic() < until:
        time.sleep(0.1)
    return found


def test_a_gated_repository_becomes_a_model_of_the_catalogue(imports, servers):
    spec = ImportSpec(REPOSITORY, token="hf_right")
    facts = imports.inspect(spec)
    assert (facts["family"], facts["licence"], facts["tunable"], facts["gated"], facts["model"]) == (
        "Gemma 3", "apache-2.0", True, True, "",
    )  # fmt: skip
    id = str(uuid4())
    imports.start(id, spec)
    found = wait_until_ended(imports, id)
    assert (found.state, found.message, found.model) == ("DONE", "", MODEL)
    catalogue = Gateway().catalogue
    model = next(one for one in catalogue.list_models() if one.name == MODEL)
    assert (model.display_name, model.can_tune, model.licence, bool(model.machine_specs)) == (
        "Tiny-Gemma", True, "apache-2.0", True,
    )  # fmt: skip
    assert catalogue.licence_acknowledged(MODEL) is False
    assert "hf_right" not in servers.log()


def test_a_model_is_removed_once_nothing_uses_it(imports, hub):
    hub.add("acme/Passing", hub.repositories[REPOSITORY].files)
    id = str(uuid4())
    imports.start(id, ImportSpec("acme/Passing"))
    found = wait_until_ended(imports, id)
    catalogue, deployment = Gateway().catalogue, Gateway().deployment
    listed = {one.name: one.imported_bytes for one in catalogue.list_models()}
    assert (found.state, found.model, listed[found.model] > 0) == ("DONE", "hf-acme/passing@001", True)
    assert {size for name, size in listed.items() if not name.startswith("hf-")} == {None}
    endpoint = deploy(deployment, found.model)
    with pytest.raises(Refused, match="hf-acme/passing@001 is used by the endpoint Passing. Undeploy or cancel"):
        imports.remove(found.model)
    (served,) = deployment.get_endpoint(endpoint).deployed_models
    wait_until_done(deployment, deployment.undeploy(endpoint, served.id, {}))
    assert imports.remove(found.model) == listed[found.model]
    assert found.model not in {one.name for one in catalogue.list_models()}
    with pytest.raises(NotFound):
        imports.remove(found.model)
    with pytest.raises(Refused, match="only imported models can be removed"):
        imports.remove("google/gemma3@gemma-3-270m")


def test_damage_is_told_while_the_server_runs(imports, hub, servers):
    hub.add("acme/Damaged", hub.repositories[REPOSITORY].files)
    id = str(uuid4())
    imports.start(id, ImportSpec("acme/Damaged"))
    name, catalogue = wait_until_ended(imports, id).model, Gateway().catalogue
    folder = servers.folder / "vertex/imported/hf-acme--damaged--001"
    for path in (folder / "model.safetensors", folder / "model.gguf"):
        path.unlink()
    spec = DeploySpec("damaged-endpoint", "damaged-model", "Damaged", "Damaged", name, "", False, None, {})
    with pytest.raises(Refused, match="cannot be deployed: The files of this model are damaged: model.safetensors is"):
        Gateway().deployment.deploy(spec)
    model = next(one for one in catalogue.list_models() if one.name == name)
    assert (model.overview, model.can_tune, model.machine_specs, model.imported_bytes > 0) == (
        "The files of this model are damaged: model.safetensors is missing. Remove the model, and import it again.",
        False, (), True,
    )  # fmt: skip
    assert imports.remove(name) > 0


def deploy(deployment, model):
    spec = DeploySpec("passing-endpoint", "passing-model", "Passing", "Passing", model, "", False, None, {})
    wait_until_done(deployment, deployment.deploy(spec))
    return deployment.endpoint_name("passing-endpoint")


def wait_until_done(deployment, operation):
    until = time.monotonic() + SECONDS
    while not (found := deployment.get_operation(operation)).done and time.monotonic() < until:
        time.sleep(0.1)
    assert (found.done, found.error) == (True, None)


def test_without_the_token_the_sentence_says_what_to_do(imports):
    with pytest.raises(NotAuthorised, match="acme/Tiny-Gemma is gated: its publisher wants to know who uses it."):
        imports.inspect(ImportSpec(REPOSITORY))
    with pytest.raises(NotFound, match="Hugging Face has no model acme/nothing"):
        imports.inspect(ImportSpec("acme/nothing", token="hf_right"))
    with pytest.raises(Refused, match="is not the name of a model at Hugging Face"):
        imports.inspect(ImportSpec("gpt2"))


def test_what_a_publisher_writes_harms_neither_rows_nor_pages(imports, hub):
    card = {"license": "other", "license_name": "a\x00b\u202ec" + "x" * 500}
    hub.add("acme/Odd", hub.repositories[REPOSITORY].files, card=card)
    facts = imports.inspect(ImportSpec("acme/Odd"))
    assert (set("\x00\u202e") & set(facts["licence"]), facts["licence"][0], len(facts["licence"]) < 400) == (
        set(), "a", True,
    )  # fmt: skip


def test_without_the_key_nobody_imports(imports, servers, settings):
    settings.VERTEX_IMPORT_KEY = "another key of somebody"
    with pytest.raises(NotAuthorised, match="Imports need the key"):
        imports.inspect(ImportSpec(REPOSITORY, token="hf_right"))
    url = f"{servers.address}/localvertex/imports"
    page = {"Origin": "https://evil.example", "Authorization": f"Bearer {KEY}"}
    assert [httpx.post(url, json={}, trust_env=False, headers=one).status_code for one in ({}, page)] == [403, 403]


def test_what_is_not_there_is_not_found_and_cancelling_it_is_nothing(imports):
    with pytest.raises(NotFound):
        imports.get(str(uuid4()))
    with pytest.raises(NotFound):
        imports.pause(str(uuid4()))
    assert imports.cancel(str(uuid4())) is None


def test_what_no_request_has_is_refused(imports, servers):
    url, headers = f"{servers.address}/localvertex/imports", {"Authorization": f"Bearer {KEY}"}
    bodies = [
        {},
        {"source": 3},
        {"source": "a/b", "more": 1},
        {"source": "a/b", "token": "a b"},
        {"source": "x" * 3000},
    ]
    removals = [{}, {"model": 3}, {"model": "a/b@c", "more": 1}, {"model": "../../etc"}]
    refused = [httpx.post(f"{url}:remove", json=body, headers=headers, trust_env=False) for body in removals]
    assert [one.status_code for one in refused] == [400] * len(removals)
    answers = [httpx.post(f"{url}:inspect", json=body, headers=headers, trust_env=False) for body in bodies]
    assert [one.status_code for one in answers] == [400] * len(bodies)
    others = [httpx.request(*one, headers=headers, trust_env=False).status_code for one in (
        ("PUT", url), ("GET", url), ("POST", f"{url}/x:delete"), ("GET", f"{url}/../../etc"), ("POST", f"{url}x"),
    )]  # fmt: skip
    assert others == [404] * 5
