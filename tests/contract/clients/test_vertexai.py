"""`vertexai.model_garden`, `vertexai.preview.model_garden`, `vertexai.tuning` and the high-level `aiplatform`."""

import re
import time
from typing import Any

import pytest
from google.api_core.exceptions import BadRequest, FailedPrecondition, NotFound
from google.cloud import aiplatform

from tests.jobs.localvertex.servers import PARENT, TINY

GEMMA = "google/gemma3@gemma-3-270m"
pytestmark = [
    pytest.mark.usefixtures("vertexai_sdk"),
    pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning", "ignore::FutureWarning"),
]


@pytest.fixture
def garden():
    from vertexai import model_garden

    return model_garden


@pytest.fixture
def preview():
    from vertexai.preview import model_garden

    return model_garden


def test_catalogue(garden):
    deployable, everything = garden.list_deployable_models(), garden.list_models()
    assert TINY in deployable
    assert set(deployable) < set(everything)
    assert garden.list_models(model_filter="qwen3-4b") == ["qwen/qwen3@qwen3-4b"]
    assert garden.list_models(list_hf_models=True) == []


def test_deploy_options(garden):
    options = garden.OpenModel(TINY).list_deploy_options()
    machines = [option.dedicated_resources.machine_spec.machine_type for option in options]
    assert machines == ["g2-standard-12", "local-cpu"]
    with pytest.raises(ValueError, match="does not support deployment"):
        garden.OpenModel("qwen/qwen3@qwen3-4b").list_deploy_options()
    with pytest.raises(NotFound):
        garden.OpenModel("qwen/qwen3@qwen3-5t").list_deploy_options()


def test_licence(garden):
    model = garden.OpenModel(GEMMA)
    assert model.check_license_agreement_status() is False
    assert model.accept_model_license_agreement().publisher_model_eula_acked is True
    assert model.check_license_agreement_status() is True


def test_open_model_from_deploy_to_delete(garden, server):
    endpoint = garden.OpenModel(TINY).deploy(endpoint_display_name="Mine", machine_type="local-cpu")
    assert endpoint.display_name == "Mine"
    (deployed,) = endpoint.list_models()
    assert deployed.dedicated_resources.machine_spec.machine_type == "local-cpu"
    found = aiplatform.Endpoint(endpoint.resource_name)
    assert found.dedicated_endpoint_dns == server.url.removeprefix("http://")
    found.undeploy(deployed.id)
    found.delete()
    with pytest.raises(NotFound):
        aiplatform.Endpoint(endpoint.resource_name).display_name  # noqa: B018


def test_open_model_refused(garden):
    with pytest.raises((BadRequest, FailedPrecondition), match="a3-hugegpu-8g"):
        garden.OpenModel(TINY).deploy(machine_type="a3-hugegpu-8g")
    with pytest.raises((BadRequest, FailedPrecondition), match="no weights on this machine"):
        garden.OpenModel("qwen/qwen3@qwen3-4b").deploy()


def test_custom_model(preview, final):
    model = preview.CustomModel(final)
    assert "local-cpu" in model.list_deploy_options()
    endpoint = model.deploy(endpoint_display_name="Tuned")
    assert [one.display_name for one in endpoint.list_models()] == ["tiny-gemma3-mg-one-click-deploy"]
    endpoint.delete(force=True)
    with pytest.raises((BadRequest, FailedPrecondition), match="empty or not there"):
        preview.CustomModel("gs://garden-local/none").deploy()


def test_supervised_tuning(server):
    from vertexai.tuning import sft

    job = server.job()
    started = sft.train(
        source_model=TINY,
        train_dataset=job.supervised_tuning_spec.training_dataset_uri,
        tuning_mode="PEFT_ADAPTER",
        epochs=1,
        learning_rate=0.001,
        adapter_size=8,
        output_uri=job.output_uri,
        tuned_model_display_name="By the SDK",
    )
    while not started.has_ended:
        time.sleep(0.1)
        started.refresh()
    assert (started.has_succeeded, bool(started.experiment)) == (True, True)
    assert re.fullmatch(rf"{PARENT}/models/\d+@1", started.tuned_model_name)
    assert started.resource_name in [one.resource_name for one in sft.SupervisedTuningJob.list()]
    assert sft.SupervisedTuningJob(started.resource_name).has_succeeded


def test_full_tuning_goes_on_from_a_whole_model_that_is_deployed(server):
    from vertexai.preview.model_garden import CustomModel
    from vertexai.tuning import SourceModel, sft

    source: Any = TINY
    for tuning_mode in ("FULL", "FULL", "PEFT_ADAPTER"):
        job = server.job()
        dataset = job.supervised_tuning_spec.training_dataset_uri
        started = sft.train(
            source_model=source, train_dataset=dataset, tuning_mode=tuning_mode, epochs=1, output_uri=job.output_uri
        )
        assert server.until(started.resource_name, "SUCCEEDED", "FAILED").error.message == ""
        whole = f"{job.output_uri}/postprocess/node-0/checkpoints/final"
        source = SourceModel(base_model=TINY, custom_base_model=whole)
    endpoint = CustomModel(gcs_uri=whole).deploy()
    (folder,) = (server.data / "endpoints" / endpoint.name).iterdir()
    assert (folder / "model.gguf").read_bytes() == b"converted"


def test_supervised_tuning_refused_and_cancelled(server):
    from vertexai.tuning import sft

    job = server.job("hold")
    dataset = job.supervised_tuning_spec.training_dataset_uri
    with pytest.raises((BadRequest, FailedPrecondition), match="output_uri field is required"):
        sft.train(source_model=TINY, train_dataset=dataset)
    started = sft.train(source_model=TINY, train_dataset=dataset, output_uri=job.output_uri)
    started.cancel()
    server.until(started.resource_name, "CANCELLED")


def test_registry_and_endpoints(final):
    model = aiplatform.Model.upload(display_name="Registered", artifact_uri=final, serving_container_image_uri="x/y")
    second = aiplatform.Model.upload(
        display_name="Registered", artifact_uri=final, serving_container_image_uri="x/y", parent_model=model.name
    )
    versions = aiplatform.models.ModelRegistry(model.resource_name).list_versions()
    assert sorted(one.version_id for one in versions) == ["1", second.version_id] == ["1", "2"]
    endpoint = aiplatform.Endpoint.create(display_name="Empty", endpoint_id="by-the-sdk", labels={"a": "b"})
    model.deploy(endpoint=endpoint, machine_type="local-cpu", min_replica_count=1)
    assert endpoint.traffic_split == {endpoint.list_models()[0].id: 100}
    assert [one.name for one in aiplatform.Endpoint.list(filter="labels.a=b")] == ["by-the-sdk"]
    assert endpoint.update(display_name="Renamed").display_name == "Renamed"
    endpoint.undeploy_all()
    endpoint.delete()
    model.delete()
    assert model.name not in [one.name for one in aiplatform.Model.list()]


def test_the_transport_is_the_one_asked_for(sdk):
    client = aiplatform.Endpoint.create(display_name="How it is asked").api_client
    assert client.select_version("v1").transport.kind == sdk["api_transport"]
