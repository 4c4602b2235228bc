import json
import shutil

import pytest
from google.api_core.exceptions import BadRequest, Conflict, NotFound
from google.cloud import aiplatform_v1beta1 as vertex

from tests.jobs.localvertex.servers import PARENT, TINY_FOLDER, TINY_NAME, wait_for


def stage(server, endpoint) -> str:
    (operation,) = server.endpoints.list_operations({"name": f"{PARENT}/endpoints/{endpoint}"}).operations
    metadata = vertex.DeployModelOperationMetadata.pb()()
    operation.metadata.Unpack(metadata)
    return vertex.DeployModelOperationMetadata.wrap(metadata).deployment_stage.name


def test_publisher_model_until_it_answers(server):
    operation = server.deploy("deploy-one")
    done = wait_for(lambda: server.finished(operation), server.log)
    response = vertex.DeployResponse.pb()()
    assert done.response.Unpack(response)
    assert (response.endpoint, response.model, response.publisher_model) == (
        f"{PARENT}/endpoints/deploy-one", f"{PARENT}/models/m-deploy-one@1", TINY_NAME,
    )  # fmt: skip
    endpoint = server.endpoints.get_endpoint(name=response.endpoint)
    (deployed,) = endpoint.deployed_models
    assert endpoint.dedicated_endpoint_dns == server.url.removeprefix("http://")
    assert deployed.status.available_replica_count == 1
    assert dict(endpoint.traffic_split) == {deployed.id: 100}
    assert stage(server, "deploy-one") == "SUCCESSFULLY_DEPLOYED"
    assert server.chat("deploy-one").json()["choices"][0]["message"]["content"] == "Hello there"


def test_tuned_model_by_its_folder(server):
    done = server.until(server.create(server.job()).name, "SUCCEEDED")
    folder = server.models.get_model(name=done.tuned_model.model).artifact_uri
    request = vertex.DeployRequest(destination=PARENT, custom_model={"gcs_uri": folder})
    request.endpoint_config.endpoint_user_id = "tuned-one"
    operation = server.garden.deploy(request).operation.name
    finished = wait_for(lambda: server.finished(operation), server.log)
    assert finished.error.message == ""
    (adapter,) = (server.data / "endpoints/tuned-one").glob("*/adapter.gguf")
    assert adapter.read_bytes() == b"adapter"


def test_penalties_are_the_base_model_s_alone(own_server, tmp_path):
    """What a model was taught may repeat itself."""
    folder = tmp_path / "mine"
    shutil.copytree(TINY_FOLDER, folder)
    (folder / "generation_config.json").write_text('{"temperature": 0.5, "repetition_penalty": 1.25}')
    own_server.extra = ["--base-model", f"me/mine@one={folder}"]
    server = own_server.start()
    done = server.until(server.create(server.job(base_model="me/mine@one")).name, "SUCCEEDED")
    tuned = {"gcs_uri": server.models.get_model(name=done.tuned_model.model).artifact_uri}
    server.deployed("of-base", publisher_model_name="publishers/me/models/mine@one")
    server.deployed("of-tuned", custom_model=tuned)
    for endpoint in ("of-base", "of-tuned"):
        assert server.chat(endpoint).status_code == 200
    seen = [json.loads(line) for line in (server.data / "endpoints/seen.jsonl").read_text().splitlines()]
    assert [one["sampling"] for one in seen] == [{"temperature": 0.5, "repetition_penalty": 1.25}, {"temperature": 0.5}]


def test_chosen_ids_exist_once(server):
    server.deployed("twice")
    with pytest.raises(Conflict, match=r"endpoints/twice already exists"):
        server.deploy("twice")
    other = {"model_config": {"model_user_id": "m-twice"}}
    with pytest.raises(Conflict, match=r"models/m-twice already exists"):
        server.deploy("thrice", **other)


@pytest.mark.parametrize("name", ["Upper", "1a", "a_b", "ends-", "x" * 64])
def test_bad_endpoint_ids(server, name):
    with pytest.raises(BadRequest, match="endpoint_user_id"):
        server.deploy(name)


def test_bad_model_id(server):
    with pytest.raises(BadRequest, match="model_user_id"):
        server.deploy("bad-model-id", model_config={"model_user_id": "1x"})


def test_machine_that_nobody_rents(server):
    resources = {"machine_spec": {"machine_type": "a3-tinygpu-8g"}}
    with pytest.raises(BadRequest, match='Machine type "a3-tinygpu-8g" is not supported'):
        server.deploy("machine", deploy_config={"dedicated_resources": resources})


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("gs://garden-local/not/there", "empty or not there"),
        ("/tmp/model", "must be a Cloud Storage path"),
        ("", "is required"),
    ],
)
def test_bad_folders(server, uri, message):
    with pytest.raises(BadRequest, match=message):
        server.garden.deploy(vertex.DeployRequest(destination=PARENT, custom_model={"gcs_uri": uri}))


def test_folder_without_a_model(server):
    server.upload("halfmodel/config.json", "{}")
    with pytest.raises(BadRequest, match=r"lacks adapter/adapter.gguf, adapter/base-model.json"):
        server.garden.deploy(
            vertex.DeployRequest(destination=PARENT, custom_model={"gcs_uri": "gs://garden-local/halfmodel"})
        )


def test_model_without_weights(server):
    name = "publishers/openai/models/gpt-oss@gpt-oss-20b"
    with pytest.raises(BadRequest, match="Download https://huggingface.co/openai/gpt-oss-20b"):
        server.garden.deploy(vertex.DeployRequest(destination=PARENT, publisher_model_name=name))


def test_teardown_has_an_order(server):
    (deployed,) = server.deployed("teardown").deployed_models
    endpoint, model = f"{PARENT}/endpoints/teardown", f"{PARENT}/models/m-teardown"
    with pytest.raises(BadRequest, match="Undeploy it first"):
        server.endpoints.delete_endpoint(name=endpoint)
    with pytest.raises(BadRequest, match="Undeploy it first"):
        server.models.delete_model(name=model)
    server.endpoints.undeploy_model(endpoint=endpoint, deployed_model_id=deployed.id).result(timeout=10)
    assert list(server.endpoints.get_endpoint(name=endpoint).deployed_models) == []
    server.endpoints.delete_endpoint(name=endpoint).result(timeout=10)
    server.models.delete_model(name=model).result(timeout=10)
    with pytest.raises(NotFound):
        server.endpoints.get_endpoint(name=endpoint)
    with pytest.raises(NotFound):
        server.models.get_model(name=model)


def test_undeploy_of_an_unknown_model(server):
    server.deployed("undeploy-what")
    with pytest.raises(NotFound, match="DeployedModel '7'"):
        server.endpoints.undeploy_model(endpoint=f"{PARENT}/endpoints/undeploy-what", deployed_model_id="7")
    with pytest.raises(BadRequest, match="deployed_model_id field is required"):
        server.endpoints.undeploy_model(endpoint=f"{PARENT}/endpoints/undeploy-what", deployed_model_id="")


def test_what_it_cannot_give_is_refused(server):
    private = {"private_service_connect_config": {"enable_private_service_connect": True}}
    with pytest.raises(BadRequest, match="Private endpoints are not supported"):
        server.deploy("private", endpoint_config=private)
    with pytest.raises(BadRequest, match="Hugging Face models cannot be deployed") as refused:
        server.garden.deploy(vertex.DeployRequest(destination=PARENT, hugging_face_model_id="google/gemma-3-1b-it"))
    assert refused.value.details[0]["fieldViolations"][0]["field"] == "hugging_face_model_id"


def test_a_model_of_the_catalogue_by_its_name_at_hugging_face(own_server):
    known = "huggingfacetb/smollm2@smollm2-135m-instruct"
    own_server.extra = ["--base-model", f"{known}={TINY_FOLDER}"]
    server = own_server.start()
    (deployed,) = server.deployed(
        "by-name", hugging_face_model_id="huggingfacetb/smollm2-135m-instruct"
    ).deployed_models
    assert deployed.model == f"{PARENT}/models/m-by-name"
    source = server.models.get_model(name=deployed.model).base_model_source.model_garden_source
    assert source.public_model_name == "publishers/huggingfacetb/models/smollm2"


def test_lists(server):
    server.deployed("listed")
    endpoints = server.endpoints.list_endpoints(parent=PARENT)
    models = server.models.list_models(parent=PARENT)
    assert f"{PARENT}/endpoints/listed" in [endpoint.name for endpoint in endpoints]
    assert f"{PARENT}/models/m-listed" in [model.name for model in models]


def test_ledger_has_one_line_a_deployment(server):
    server.deployed("counted")
    lines = [line for line in server.ledger() if line["name"].endswith("/counted")]
    assert [(line["method"], line["base_model"]) for line in lines] == [("deploy", "local/tiny@tiny-gemma3")]


LABEL = "local-serving-quantization"


def test_label_chooses_the_precision(server):
    endpoint = server.deployed("in-q8", deploy_config={"system_labels": {LABEL: "q8_0"}})
    assert (server.data / "quantized/local--tiny@tiny-gemma3/q8_0/model.gguf").read_bytes() == b"converted"
    (deployed,) = endpoint.deployed_models
    assert deployed.system_labels[LABEL] == "q8_0"
    resources = {"machine_spec": {"machine_type": "local-cpu"}}
    wanted = {"model": deployed.model, "dedicated_resources": resources, "system_labels": {LABEL: "q4_k_m"}}
    server.endpoints.deploy_model(endpoint=endpoint.name, deployed_model=wanted).result(60)
    kinds = sorted(path.parent.name for path in server.data.glob("quantized/*/*/model.gguf"))
    assert kinds == ["q4_k_m", "q8_0"]


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ({LABEL: "q2_k"}, "must be one of q4_k_m, q8_0, f16, not 'q2_k'"),
        ({"local-serving-context": "9"}, "The label local-serving-context is no setting of this server"),
    ],
)
def test_settings_that_are_none(server, labels, message):
    with pytest.raises(BadRequest, match=message):
        server.deploy("wrong-label", deploy_config={"system_labels": labels})
