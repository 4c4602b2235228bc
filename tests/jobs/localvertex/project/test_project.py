"""A server with `--as-google`: what it leaves out, and how its project can be unfriendly."""

import base64
import io
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from google.api_core.exceptions import BadRequest, Forbidden, ServiceUnavailable
from google.cloud import aiplatform_v1beta1 as vertex
from PIL import Image

from jobs.localvertex.api.hosts import project_number
from tests.jobs.localvertex.resources.tuning.test_custom_jobs import arguments, create, until
from tests.jobs.localvertex.servers import BUCKET, PARENT, LocalVertex, wait_for
from tests.support.localservers import order_faults

GEMMA = "google/gemma3@gemma-3-4b-it"
NAME = "publishers/google/models/gemma3@gemma-3-4b-it"
AGENT = f"serviceAccount:service-{project_number('p1')}@gcp-sa-vertex-moss-ft.iam.gserviceaccount.com"
FULL: Any = vertex.SupervisedTuningSpec.TuningMode.TUNING_MODE_FULL
VIEW = vertex.PublisherModelView.PUBLISHER_MODEL_VIEW_FULL
STOCK_OUT = 'Machine type temporarily unavailable. Machine type: "g2-standard-24". Accelerator type: "nvidia-l4".'


def grant(server: LocalVertex, *members: str) -> None:
    policy = {"bindings": [{"role": "roles/storage.objectUser", "members": list(members)}]}
    reply = httpx.put(f"{server.storage}/storage/v1/b/{BUCKET}/iam", json=policy, trust_env=False)
    reply.raise_for_status()


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory, bucket_address: str) -> Iterator[LocalVertex]:
    folder = tmp_path_factory.mktemp("strict")
    options = ("--instant", "--as-google", "--faults", str(folder / "faults.json"))
    server = LocalVertex(folder, bucket_address, options=options).start()
    yield server
    server.stop()


@pytest.fixture
def google(strict: LocalVertex) -> Iterator[LocalVertex]:
    """Nothing is missing: tests take something away."""
    grant(strict, AGENT)
    yield strict
    order(strict)


def order(server: LocalVertex, *entries: dict) -> None:
    order_faults(server.folder / "faults.json", *entries)


def picture() -> str:
    made = io.BytesIO()
    Image.new("RGB", (2, 2), "red").save(made, "PNG")
    return f"data:image/png;base64,{base64.b64encode(made.getvalue()).decode()}"


def tune(server: LocalVertex, epochs: int = 3, **changes) -> vertex.TuningJob:
    job = server.job(base_model=GEMMA, **changes)
    job.supervised_tuning_spec.tuning_mode = FULL
    job.supervised_tuning_spec.hyper_parameters = vertex.SupervisedHyperParameters(epoch_count=epochs)
    return server.until(server.create(job).name, "SUCCEEDED", "FAILED")


def test_model_garden_tells_no_licence_and_no_facts(google):
    plain, full = (google.garden.get_publisher_model({"name": NAME, "view": view}) for view in (0, VIEW))
    assert "view_rest_api" not in plain.supported_actions
    titles = [one.title for one in full.supported_actions.view_rest_api.documentations]
    assert (titles, "open_fine_tuning_pipelines" in full.supported_actions) == (["OVERVIEW"], False)
    machines = [
        one.dedicated_resources.machine_spec.machine_type
        for one in plain.supported_actions.multi_deploy_vertex.multi_deploy_vertex
    ]
    assert machines == ["g2-standard-24", "a2-ultragpu-1g", "g4-standard-48"]


def test_the_catalogue_has_models_that_do_not_chat(google):
    listed = google.garden.list_publisher_models({"parent": "publishers/*", "list_all_versions": True})
    samples = {
        model.name: json.loads(model.supported_actions.multi_deploy_vertex.multi_deploy_vertex[0].deploy_metadata
                               .sample_request)["instances"][0]
        for model in listed
    }  # fmt: skip
    assert samples["publishers/stability-ai/models/stable-diffusion-2-1"] == {
        "prompt": "A photo of an astronaut riding a horse on Mars"
    }
    assert "inputs" in samples["publishers/google/models/embeddinggemma"]


def test_terms_are_known_by_asking_for_them_only(google):
    asked = {"parent": "projects/p2", "publisher_model": NAME}
    assert not google.garden.check_publisher_model_eula_acceptance(asked).publisher_model_eula_acked
    request = vertex.DeployRequest(destination=PARENT.replace("p1", "p2"), publisher_model_name=NAME)
    with pytest.raises(BadRequest) as caught:
        google.garden.deploy(request)
    assert caught.value.message.endswith(f"Project p2 is not allowed to use Publisher Model {NAME}.")


@pytest.mark.slow
def test_results_and_metrics_as_google_documents_them(google):
    job = tune(google, epochs=20)
    assert (job.state.name, job.error.message) == ("JOB_STATE_SUCCEEDED", "")
    prefix = f"{job.output_uri.removeprefix(f'gs://{BUCKET}/')}/"
    names = google.stored(prefix)
    folders = sorted({name.removeprefix("postprocess/node-0/checkpoints/").partition("/")[0] for name in names})
    assert folders == sorted([*(f"checkpoint-{epoch}" for epoch in range(2, 21, 2)), "final"])
    assert [name for name in names if name.endswith(".gguf") or "log" in name or "base-model" in name] == []
    board = google.metadata.get_context(name=job.experiment).metadata["backing_tensorboard_resource"]
    run = f"{board}/experiments/{job.experiment.rpartition('/')[2]}"
    runs = list(google.boards.list_tensorboard_runs(parent=run))
    tags = {one.display_name for one in google.boards.list_tensorboard_time_series(parent=runs[0].name)}
    assert tags == {"loss", "mean_token_accuracy", "num_input_tokens_seen", "learning_rate"}


@pytest.mark.slow
def test_a_tuned_model_is_deployed_by_its_folder_and_answers_by_its_own_host(google):
    job = tune(google)
    folder = f"{job.output_uri}/postprocess/node-0/checkpoints/final"
    request = vertex.DeployRequest(destination=PARENT, custom_model={"gcs_uri": folder})
    request.endpoint_config.endpoint_user_id = "tuned-as-google"
    operation = google.garden.deploy(request).operation.name
    assert not wait_for(lambda: google.finished(operation), google.log).error.message
    endpoint = google.endpoints.get_endpoint(name=f"{PARENT}/endpoints/tuned-as-google")
    (model,) = endpoint.deployed_models
    assert (model.dedicated_resources.machine_spec.machine_type, dict(model.system_labels)) == ("g2-standard-12", {})
    assert endpoint.dedicated_endpoint_dns.endswith(f".prediction.localhost:{google.port}")
    refused = google.chat("tuned-as-google")
    assert (refused.status_code, "Dedicated Endpoint" in refused.text) == (400, True)
    path = f"/v1beta1/{endpoint.name}/chat/completions"
    content = [{"type": "text", "text": "Hi"}, {"type": "image_url", "image_url": {"url": picture()}}]
    reply = httpx.post(
        f"{google.url}{path}", json={"messages": [{"role": "user", "content": content}]},
        headers={"Host": endpoint.dedicated_endpoint_dns}, trust_env=False,
    )  # fmt: skip
    assert (reply.status_code, reply.json()["choices"][0]["message"]["role"]) == (200, "assistant"), reply.text


def test_an_agent_without_a_role_fails_a_job_that_was_taken(google):
    grant(google)
    job = tune(google)
    assert (job.state.name, job.error.code) == ("JOB_STATE_FAILED", 7)
    assert job.error.message.startswith(
        f"{AGENT.partition(':')[2]} does not have storage.objects.get access to the Google Cloud Storage object gs://"
    )


def test_a_custom_job_does_not_run_as_the_agent_of_tuning_jobs(google):
    grant(google)
    client = google.client(vertex.JobServiceClient)
    given = arguments(google, "as-google", pretrained_model_name_or_path="google/gemma-3-4b-it")
    name = create(client, given).name
    assert until(google, client, name, "SUCCEEDED", "FAILED").error.message == ""


def test_a_stock_out_at_once_and_as_the_end_of_an_operation(google):
    order(google, {"method": "deploy", "mode": "refuse", "status": 503, "message": STOCK_OUT})
    with pytest.raises(ServiceUnavailable, match="Machine type temporarily unavailable"):
        google.deploy("out-1")
    order(google, {"method": "deploy", "mode": "fail", "code": "UNAVAILABLE", "message": STOCK_OUT, "seconds": 0.2})
    google.garden.accept_publisher_model_eula({"parent": "projects/p1", "publisher_model": NAME})
    operation = google.deploy("out-2")
    done = wait_for(lambda: google.finished(operation), google.log)
    assert (done.error.code, done.error.message) == (14, STOCK_OUT)


@pytest.mark.slow
def test_a_job_can_be_ordered_to_fail(google):
    quota = "The following quotas are exceeded: GlobalConcurrentManagedOssModelTuningJobs 1"
    order(google, {"method": "create_tuning_job", "mode": "fail", "code": "RESOURCE_EXHAUSTED", "message": quota})
    job = tune(google)
    assert (job.error.code, job.error.message) == (8, quota)


def test_what_is_missing_is_told_by_each_service_and_refused_by_vertex_ai(google):
    order(google, {"mode": "project", "billing": False})
    about = httpx.get(f"{google.url}/v1/projects/p1/billingInfo", trust_env=False).json()
    assert about["billingEnabled"] is False
    with pytest.raises(Forbidden, match="requires billing to be enabled"):
        google.create(google.job(base_model=GEMMA))


def test_without_the_mode_the_same_paths_are_unknown(server):
    assert httpx.get(f"{server.url}/v1/projects/p1/billingInfo", trust_env=False).status_code == 404
