"""Requests as Google's documentation and published notebooks have them, sent as they stand there."""

import gzip
import json
from typing import Any

import httpx
import pytest
from django.test import override_settings
from google.api_core.exceptions import BadRequest, FailedPrecondition
from google.cloud import aiplatform

from jobs.vertex.sdk import Gateway
from jobs.vertex.values import MachineSpec
from tests.jobs.localvertex.servers import PARENT, TINY, TINY_NAME, LocalVertex, wait_for

VLLM = "us-docker.pkg.dev/vertex-ai/vertex-vision-model-garden-dockers/pytorch-vllm-serve:20250312_0916_RC01"
GATED = "publishers/google/models/gemma3@gemma-3-270m"
pytestmark = [
    pytest.mark.usefixtures("vertexai_sdk"),
    pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning", "ignore::FutureWarning"),
]


def curl(
    server: LocalVertex, method: str, path: str, body: str | bytes = b"", version: str = "v1beta1", **headers: str
) -> httpx.Response:
    url = f"{server.url}/{version}/{path}"
    sent = {"Content-Type": "application/json; charset=utf-8", **headers}
    return httpx.request(method, url, content=body, headers=sent, timeout=20, trust_env=False)


def finished(server: LocalVertex, operation: str) -> dict[str, Any]:
    def done() -> dict[str, Any] | None:
        found: dict[str, Any] = curl(server, "GET", operation, version="v1").json()
        return found if found.get("done") else None

    ended: dict[str, Any] = wait_for(done, server.log)
    return ended


def refusal(reply: httpx.Response) -> tuple[int, str, str]:
    error = reply.json()["error"]
    return reply.status_code, error["status"], error["message"]


DEPLOY = f"""{{
  'publisher_model_name': '{TINY_NAME}',
  "model_config": {{
    "accept_eula": "true",
    "model_user_id": "as-documented",
  }},
  "deploy_config": {{
    "dedicated_resources": {{
      "min_replica_count": "1",
      "machine_spec": {{
        "machine_type": "g2-standard-12",
        "accelerator_type": "NVIDIA_L4",
        "accelerator_count": 1,
      }},
    }},
  }},
}}"""


def test_deploy_as_the_documentation_has_it(server):
    started = curl(server, "POST", f"{PARENT}:deploy", DEPLOY)
    assert started.status_code == 200, started.text
    ended = finished(server, started.json()["name"])
    assert "error" not in ended
    endpoint = curl(server, "GET", ended["response"]["endpoint"]).json()
    (deployed,) = endpoint["deployedModels"]
    machine = {"machineType": "g2-standard-12", "acceleratorType": "NVIDIA_L4", "acceleratorCount": 1}
    assert deployed["dedicatedResources"]["machineSpec"] == machine
    assert deployed["systemLabels"] == {"localvertex-runs-on": "local-cpu"}
    with override_settings(VERTEX_API_ENDPOINT=server.url):
        shown = Gateway().deployment.get_endpoint(endpoint["name"])
    assert [model.machine for model in shown.deployed_models] == [MachineSpec("local-cpu")]
    listed = curl(server, "GET", f"{PARENT}/endpoints?filter=labels.mg-deploy:*").json()["endpoints"]
    assert endpoint["name"] in [one["name"] for one in listed]
    assert endpoint["labels"] == {"mg-deploy": "publishers-local-models-tiny-tiny-gemma3"}


def test_replies_have_a_field_a_line(server):
    reply = curl(server, "GET", TINY_NAME)
    assert f'  "versionId": "{TINY.partition("@")[2]}",\n' in reply.text
    assert (reply.text[:4], reply.text[-3:]) == ("{\n  ", "\n}\n")
    assert '\n    "code": 404,\n' in curl(server, "GET", f"{PARENT}/endpoints/999").text
    assert "\n" not in curl(server, "GET", f"{TINY_NAME}?prettyPrint=false").text


def test_packed_body(server):
    body = gzip.compress(json.dumps({"displayName": "Packed"}).encode())
    created = curl(server, "POST", f"{PARENT}/endpoints", body, **{"Content-Encoding": "gzip"})
    assert created.json()["response"]["displayName"] == "Packed"
    bomb = gzip.compress(b" " * 20_000_000)
    refused = curl(server, "POST", f"{PARENT}/endpoints", bomb, **{"Content-Encoding": "gzip"})
    assert refusal(refused)[:2] == (400, "INVALID_ARGUMENT")
    assert "exceeds the limit" in refusal(refused)[2]
    assert refusal(curl(server, "POST", f"{PARENT}/endpoints", b"x", **{"Content-Encoding": "gzip"}))[0] == 400


def test_only_some_fields(server):
    curl(
        server,
        "POST",
        f"{PARENT}/endpoints?endpointId=some-fields",
        '{"displayName": "F", "labels": {"some": "fields"}}',
    )
    name = f"{PARENT}/endpoints/some-fields"
    assert curl(server, "GET", f"{name}?fields=displayName,labels/some").json() == {
        "displayName": "F",
        "labels": {"some": "fields"},
    }
    page = curl(server, "GET", f"{PARENT}/endpoints?fields=endpoints(name)&filter=labels.some=fields").json()
    assert page == {"endpoints": [{"name": name}]}
    assert refusal(curl(server, "GET", f"{name}?fields=shoes"))[:2] == (400, "INVALID_ARGUMENT")


def test_licence_is_asked_where_google_asks(server, vertexai_sdk):
    """Of a deployment, and not of a tuning."""
    other = PARENT.replace("/p1/", "/fresh/")
    body = json.dumps({"publisherModelName": GATED})
    assert refusal(curl(server, "POST", f"{other}:deploy", body))[1] == "FAILED_PRECONDITION"
    job = server.job()
    tune = {
        "baseModel": GATED.replace("publishers/", "").replace("models/", ""),
        "outputUri": job.output_uri,
        "supervisedTuningSpec": {"trainingDatasetUri": job.supervised_tuning_spec.training_dataset_uri},
    }
    created = curl(server, "POST", f"{other}/tuningJobs", json.dumps(tune))
    answer = created.json()
    assert "has not been accepted" not in created.text
    if created.status_code == 200:
        curl(server, "POST", f"{answer['name']}:cancel")


def test_lists_as_the_sdk_asks_for_them():
    from vertexai import model_garden

    assert model_garden.list_deployable_models(list_hf_models=True) == []


def test_publishers_models_in_v1(server):
    found = curl(server, "GET", "publishers/*/models?pageSize=100", version="v1").json()["publisherModels"]
    assert TINY_NAME.partition("@")[0] in [one["name"] for one in found]


def test_deploy_options_name_a_container():
    from vertexai import model_garden

    options: Any = model_garden.OpenModel(TINY).list_deploy_options(serving_container_image_uri_filter="llama.cpp")
    assert [list(one.container_spec.args) for one in options] == [[f"--model={TINY}"]] * 2
    machines = [one.dedicated_resources.machine_spec.machine_type for one in options]
    assert machines == ["g2-standard-12", "local-cpu"]
    assert 'serving_container_image_uri="llama.cpp"' in model_garden.OpenModel(TINY).list_deploy_options(concise=True)


def test_model_without_a_mask_and_without_anything_to_serve(server):
    name = "models/no-mask"
    body = {"modelId": "no-mask", "model": {"displayName": "A", "artifactUri": "gs://b/c"}}
    assert curl(server, "POST", f"{PARENT}/models:upload", json.dumps(body)).status_code == 200
    patched = curl(server, "PATCH", f"{PARENT}/{name}", '{"displayName": "B", "labels": {"x": "y"}}').json()
    assert (patched["displayName"], patched["labels"], patched["artifactUri"]) == ("B", {"x": "y"}, "gs://b/c")
    nothing = curl(server, "POST", f"{PARENT}/models:upload", '{"model": {"displayName": "Nothing"}}')
    assert refusal(nothing)[:2] == (400, "INVALID_ARGUMENT")


def test_container_model_by_its_arguments(server, final):
    """`Model.deploy` without a machine: the SDK sends n1-standard-2."""
    arguments = [f"--model={final}", "--tensor-parallel-size=1", "--gpu-memory-utilization=0.95"]
    model = aiplatform.Model.upload(
        display_name="By arguments",
        serving_container_image_uri=VLLM,
        serving_container_args=arguments,
        serving_container_predict_route="/generate",
    )
    endpoint = model.deploy()
    (deployed,) = endpoint.list_models()
    assert deployed.dedicated_resources.machine_spec.machine_type == "n1-standard-2"
    assert server.chat(endpoint.name).status_code == 200
    endpoint.delete(force=True)


@pytest.mark.parametrize(
    ("image", "arguments"),
    [
        ("ghcr.io/huggingface/text-generation-inference:3", [f"--model-id={TINY}"]),
        ("lmsysorg/sglang:v0.4", ["--model-path", "some/tiny-gemma3"]),
        ("llama.cpp", [f"--model={TINY}"]),
    ],
)
def test_container_model_by_a_name(image, arguments):
    model = aiplatform.Model.upload(
        display_name="By name", serving_container_image_uri=image, serving_container_args=arguments
    )
    endpoint = model.deploy(machine_type="g2-standard-12", accelerator_type="NVIDIA_L4", accelerator_count=1)
    assert len(endpoint.list_models()) == 1
    endpoint.delete(force=True)


def test_container_that_is_no_model_server():
    model = aiplatform.Model.upload(display_name="Other", serving_container_image_uri="docker.io/nginx")
    with pytest.raises((BadRequest, FailedPrecondition), match="Model server never became ready"):
        model.deploy(machine_type="n1-standard-4")


def test_model_of_the_garden_without_a_version():
    model = aiplatform.Model.upload(
        display_name="Default version",
        serving_container_image_uri=VLLM,
        model_garden_source_model_name="publishers/local/models/tiny",
    )
    endpoint = model.deploy(machine_type="a2-ultragpu-1g", accelerator_type="NVIDIA_A100_80GB", accelerator_count=1)
    assert len(endpoint.list_models()) == 1
    endpoint.delete(force=True)


def test_machine_that_nobody_has(server):
    with pytest.raises(BadRequest, match='Machine type "g2-standrad-12" is not supported'):
        server.deploy(
            "typo", deploy_config={"dedicated_resources": {"machine_spec": {"machine_type": "g2-standrad-12"}}}
        )


def test_order_and_filter_of_v1(server):
    for name in ("v1-b", "v1-a"):
        curl(server, "POST", f"{PARENT}/endpoints?endpointId={name}", f'{{"displayName": "{name}"}}')
    where = f"{PARENT}/endpoints?filter=display_name:%22v1-*%22"
    found = curl(server, "GET", f"{where}&orderBy=displayName", version="v1").json()["endpoints"]
    assert [one["displayName"] for one in found] == ["v1-a", "v1-b"]
    assert refusal(curl(server, "GET", f"{where}&orderBy=displayName"))[0] == 400
    assert curl(server, "GET", f"{PARENT}/models?orderBy=displayName%20desc", version="v1").status_code == 200


def test_endpoints_of_a_base_model_and_their_streams(server):
    endpoint = server.deployed("by-base")
    where = f"{PARENT}/endpoints?fields=endpoints/name&filter=base_model_name="
    assert endpoint.name in [one["name"] for one in curl(server, "GET", f"{where}{TINY}").json()["endpoints"]]
    assert curl(server, "GET", f"{where}%22qwen/qwen3@qwen3-4b%22").json() == {}
    chat = {"@requestFormat": "chatCompletions", "messages": [{"role": "user", "content": "hi"}], "stream": True}
    for instance in (chat, {"prompt": "hi", "stream": True}):
        body = json.dumps({"instances": [instance]})
        answer = curl(server, "POST", f"{endpoint.name}:streamRawPredict", body)
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.text.startswith("data: {")
        assert answer.text.rstrip().endswith("data: [DONE]")
    body = json.dumps({"model": ["a"], "messages": chat["messages"]})
    assert refusal(curl(server, "POST", f"{endpoint.name}/chat/completions", body))[:2] == (400, "INVALID_ARGUMENT")
    code, status, message = refusal(server.chat("by-base", "word " * 200_000))
    assert (code, status) == (400, "INVALID_ARGUMENT")
    assert "is too long: more than 15625 tokens, and this model takes 8192." in message


def test_locations(server):
    elsewhere = PARENT.replace("us-central1", "nowhere-9")
    assert refusal(curl(server, "GET", f"{elsewhere}/endpoints"))[:2] == (403, "PERMISSION_DENIED")
    everywhere = PARENT.replace("us-central1", "global")
    created = curl(server, "POST", f"{everywhere}/endpoints", '{"displayName": "G"}')
    assert refusal(created)[:2] == (400, "FAILED_PRECONDITION")
    pools = {"workerPoolSpecs": [{"replicaCount": 1, "containerSpec": {"imageUri": VLLM}}]}
    for where, what in (("customJobs", {"displayName": "G", "jobSpec": pools}), ("tensorboards", {"displayName": "G"})):
        assert refusal(curl(server, "POST", f"{everywhere}/{where}", json.dumps(what)))[:2] == (
            400,
            "FAILED_PRECONDITION",
        )
    serving_only = PARENT.replace("us-central1", "europe-west9")
    spec = {"trainingDatasetUri": "gs://a/b.jsonl"}
    body = {"baseModel": TINY, "supervisedTuningSpec": spec}
    code, status, message = refusal(curl(server, "POST", f"{serving_only}/tuningJobs", json.dumps(body)))
    assert (code, status) == (400, "FAILED_PRECONDITION")
    assert message.startswith(
        "Open models are not tuned in the location europe-west9. Supported locations: global, us-"
    )
    assert curl(server, "POST", f"{serving_only}/endpoints", '{"displayName": "E"}').status_code == 200
    key = {"baseModel": TINY, "supervisedTuningSpec": spec, "encryptionSpec": {"kmsKeyName": "k"}}
    tuned = curl(server, "POST", f"{everywhere}/tuningJobs", json.dumps(key))
    assert refusal(tuned)[:2] == (400, "FAILED_PRECONDITION")


def test_training_pipeline_of_the_peft_container(server):
    rows = json.dumps({"prompt": "steps", "completion": "yes"}) + "\n"
    job = aiplatform.CustomContainerTrainingJob(
        display_name="LoRA by a pipeline",
        staging_bucket="gs://garden-local",
        container_uri=f"{VLLM.rpartition('/')[0]}/pytorch-peft-train:20240909",
    )
    job.submit(
        args=[
            "--task=instruct-lora",
            "--pretrained_model_id=local/tiny-gemma3",
            f"--dataset_name={server.upload('pipeline/train.jsonl', rows)}",
            "--output_dir=gs://garden-local/pipeline/adapter",
            "--precision_mode=bfloat16",
        ],
        base_output_dir="gs://garden-local/pipeline",
        machine_type="a2-highgpu-1g",
        accelerator_type="NVIDIA_TESLA_A100",
        accelerator_count=1,
        replica_count=1,
    )
    ended = wait_for(lambda: job.state if job.state.name.endswith(("SUCCEEDED", "FAILED")) else None, server.log)
    assert ended.name == "PIPELINE_STATE_SUCCEEDED"
    assert "adapter_config.json" in server.stored("pipeline/adapter/")
    (listed,) = aiplatform.CustomContainerTrainingJob.list(filter='display_name="LoRA by a pipeline"')
    assert listed.resource_name == job.resource_name
    job.delete()
    assert refusal(curl(server, "GET", job.resource_name))[:2] == (404, "NOT_FOUND")


def test_experiment_of_a_tuning_job_and_one_of_ones_own(server):
    tuned = server.until(server.create(server.job()).name, "SUCCEEDED")
    board = aiplatform.Experiment(tuned.experiment.rpartition("/")[2]).get_backing_tensorboard_resource()
    assert board.resource_name == f"{PARENT}/tensorboards/{tuned.name.rpartition('/')[2]}"
    own = aiplatform.Experiment.create("own-experiment", description="Mine")
    run = aiplatform.ExperimentRun.create("run-1", experiment=own)
    run.log_params({"learning_rate": 0.1})
    run.log_metrics({"loss": 0.5})
    run.end_run()
    again = aiplatform.ExperimentRun("run-1", experiment="own-experiment")
    assert (again.get_params(), again.get_metrics()) == ({"learning_rate": 0.1}, {"loss": 0.5})
    assert again.state.name == "COMPLETE"
    assert [one.name for one in aiplatform.ExperimentRun.list(experiment="own-experiment")] == ["run-1"]
    own.delete()
    assert aiplatform.Experiment.get("own-experiment") is None
