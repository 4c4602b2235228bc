"""Google's generated clients over REST and over gRPC, of both API versions: every call with success and refused.

The last test looks at the server's notes: no call of the table in docs/localvertex-calls.md may be missing."""

import json
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

import grpc
import pytest
import requests
from google.api_core import exceptions
from google.cloud import aiplatform, aiplatform_v1, aiplatform_v1beta1
from google.longrunning.operations_pb2 import Operation
from google.protobuf import json_format
from google.protobuf.struct_pb2 import Value

from jobs.localvertex.app import PATHS
from jobs.localvertex.inference import METHODS as INFERENCE_METHODS
from tests.contract.clients.recording import FILE
from tests.jobs.localvertex.servers import PARENT, PROJECT, TINY, TINY_NAME, wait_for

LOCAL = {"machine_spec": {"machine_type": "local-cpu"}, "min_replica_count": 1}
PEFT = "us-docker.pkg.dev/vertex-ai/vertex-vision-model-garden-dockers/pytorch-peft-train:latest"
MESSAGES = [{"role": "user", "content": "hi"}]
ONLY_REFUSED = {  # not for open models, whoever asks; and what this server has none of
    "rebase_tuned_model", "server_streaming_predict", "create_hyperparameter_tuning_job",
    "get_hyperparameter_tuning_job", "cancel_hyperparameter_tuning_job", "delete_hyperparameter_tuning_job",
    "create_persistent_resource", "get_persistent_resource", "update_persistent_resource",
    "delete_persistent_resource", "reboot_persistent_resource", "direct_predict", "direct_raw_predict", "explain",
    "create_cached_content", "get_cached_content", "update_cached_content", "delete_cached_content",
}  # fmt: skip
NOTHING = {
    kind: f"{PARENT}/{kind}/404"
    for kind in ("endpoints", "models", "customJobs", "tuningJobs", "operations", "tensorboards")
}


VERBS = ("create", "list", "get", "update", "delete")


class Clients:
    def __init__(self, server, package, transport="rest"):
        self.package, self.number = package, package.__name__.rpartition("_")[2]
        self.transport, self.tag = transport, f"{self.number}-{transport}"
        self._server = server

    def __getattr__(self, name):
        kind = getattr(self.package, name)
        if self.transport == "grpc":
            client = kind(transport=kind.get_transport_class("grpc")(channel=self._channel))
        else:
            client = self._server.client(kind)
        setattr(self, name, client)
        return client

    @cached_property
    def _channel(self):
        return grpc.insecure_channel(f"127.0.0.1:{self._server.port}")

    def close(self):
        if self.transport == "grpc":
            self._channel.close()


@pytest.fixture(scope="module", params=["rest", pytest.param("grpc", marks=pytest.mark.slow)])
def transport(request, server):
    """With the number of calls that the server had noted before."""
    return request.param, len(notes(server))


@pytest.fixture(scope="module", params=[aiplatform_v1, aiplatform_v1beta1], ids=["v1", "v1beta1"])
def google(request, server, transport):
    clients = Clients(server, request.param, transport[0])
    yield clients
    clients.close()


@pytest.fixture
def beta(google, server):
    clients = Clients(server, aiplatform_v1beta1, google.transport)
    yield clients
    clients.close()


def notes(server):
    path = server.data / FILE
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


@pytest.fixture(scope="module")
def model(google, final) -> str:
    uploaded = {"display_name": "Contract", "artifact_uri": final}
    request = google.package.UploadModelRequest(parent=PARENT, model=uploaded, model_id=f"contract-{google.tag}")
    return google.ModelServiceClient.upload_model(request).result(timeout=10).model


def refused(call, *args, **kwargs):
    with pytest.raises((exceptions.NotFound, exceptions.BadRequest)):
        list(found) if hasattr(found := call(*args, **kwargs), "pages") else found


def test_publisher_models_of_both(google):
    garden = google.ModelGardenServiceClient
    assert garden.get_publisher_model(name=TINY_NAME).version_id == "tiny-gemma3"
    refused(garden.get_publisher_model, name="publishers/local/models/none@none")


def test_deploy_of_both(google, server):
    garden, name = google.ModelGardenServiceClient, f"deploy-{google.tag}"
    request = google.package.DeployRequest(destination=PARENT, publisher_model_name=TINY_NAME)
    if google.number == "v1beta1":
        request.endpoint_config.endpoint_user_id = name
    made = garden.deploy(request).result(timeout=30)
    assert made.publisher_model == TINY_NAME
    assert type(made).__module__.startswith(f"google.cloud.{google.package.__name__.rpartition('.')[2]}.")
    request.publisher_model_name = "publishers/qwen/models/qwen3@qwen3-4b"
    refused(garden.deploy, request)


@pytest.mark.usefixtures("google")
def test_calls_that_only_v1beta1_has(beta, final):
    garden, models = beta.ModelGardenServiceClient, beta.ModelServiceClient
    assert TINY_NAME in [f"{m.name}@{m.version_id}" for m in garden.list_publisher_models(parent="publishers/local")]
    refused(garden.list_publisher_models, request={"parent": "publishers/local", "page_token": "nonsense"})
    eula = {"parent": PROJECT, "publisher_model": TINY_NAME}
    assert garden.check_publisher_model_eula_acceptance(**eula).publisher_model_eula_acked
    assert garden.accept_publisher_model_eula(**eula).publisher_model_eula_acked
    refused(garden.check_publisher_model_eula_acceptance, parent=PROJECT, publisher_model="nonsense")
    refused(garden.accept_publisher_model_eula, parent=PROJECT, publisher_model="publishers/a/models/b@c")
    export = {"parent": PARENT, "name": TINY_NAME, "destination": {"output_uri_prefix": "gs://garden-local/exported"}}
    made = garden.export_publisher_model(export).result(timeout=30)
    assert (made.publisher_model, made.destination_uri) == (TINY_NAME, "gs://garden-local/exported")
    refused(garden.export_publisher_model, {**export, "name": "publishers/qwen/models/qwen3@qwen3-4b"})
    assert models.recommend_spec({"parent": PARENT, "gcs_uri": final}).specs
    refused(models.recommend_spec, {"parent": PARENT})


def test_endpoints(google):
    client, name = google.EndpointServiceClient, f"endpoint-{google.tag}"
    create = google.package.CreateEndpointRequest(parent=PARENT, endpoint_id=name, endpoint={"display_name": "E"})
    made = client.create_endpoint(create).result(timeout=10)
    assert made == client.get_endpoint(name=made.name)
    assert made.name in [one.name for one in client.list_endpoints(parent=PARENT)]
    change = {"endpoint": {"name": made.name, "display_name": "F"}, "update_mask": {"paths": ["display_name"]}}
    assert client.update_endpoint(change).display_name == "F"
    assert client.update_endpoint_long_running(endpoint={"name": made.name}).result(timeout=10).name == made.name
    client.delete_endpoint(name=made.name).result(timeout=10)
    create.endpoint_id = "-"
    refused(client.create_endpoint, create)
    refused(client.get_endpoint, name=made.name)
    refused(client.list_endpoints, request={"parent": PARENT, "filter": "((("})
    refused(client.update_endpoint, change)
    refused(client.update_endpoint_long_running, endpoint={"name": made.name})
    refused(client.delete_endpoint, name=made.name)


def test_deployed_models(google, model):
    client, name = google.EndpointServiceClient, f"deployed-{google.tag}"
    create = google.package.CreateEndpointRequest(parent=PARENT, endpoint_id=name, endpoint={"display_name": "D"})
    endpoint = client.create_endpoint(create).result(timeout=10).name
    deployed = {"model": model, "dedicated_resources": LOCAL, "id": "7"}
    request = {"endpoint": endpoint, "deployed_model": deployed, "traffic_split": {"0": 100}}
    assert client.deploy_model(**request).result(timeout=30).deployed_model.id == "7"
    mutate = {"endpoint": endpoint, "deployed_model": {"id": "7", "dedicated_resources": {"max_replica_count": 2}}}
    mutate["update_mask"] = {"paths": ["dedicated_resources.max_replica_count"]}
    changed = client.mutate_deployed_model(mutate).result(timeout=10).deployed_model
    assert changed.dedicated_resources.max_replica_count == 2
    client.undeploy_model(endpoint=endpoint, deployed_model_id="7").result(timeout=10)
    refused(client.deploy_model, **request | {"traffic_split": {"0": 1}})
    refused(client.mutate_deployed_model, mutate)
    refused(client.undeploy_model, endpoint=endpoint, deployed_model_id="7")


def test_models(google, model):
    client = google.ModelServiceClient
    assert client.get_model(name=f"{model}@1").name == model
    assert model in [one.name for one in client.list_models(parent=PARENT)]
    change = {"model": {"name": model, "description": "D"}, "update_mask": {"paths": ["description"]}}
    assert client.update_model(change).description == "D"
    nothing = {"display_name": "Doomed", "artifact_uri": "gs://garden-local/nothing"}
    doomed = client.upload_model(parent=PARENT, model=nothing).result(timeout=10).model
    client.delete_model(name=doomed).result(timeout=10)
    refused(client.get_model, name=f"{model}@9")
    refused(client.list_models, request={"parent": PARENT, "page_size": -1})
    refused(client.update_model, change | {"update_mask": {"paths": ["name"]}})
    refused(client.delete_model, name=doomed)
    refused(client.upload_model, parent=PARENT, model={})


def test_copies(google, model):
    client = google.ModelServiceClient
    elsewhere = f"{PROJECT}/locations/europe-west4"
    request = google.package.CopyModelRequest(
        parent=elsewhere, source_model=f"{model}@1", model_id=f"copy-{google.tag}"
    )
    made = client.copy_model(request).result(timeout=10)
    assert (made.model, made.model_version_id) == (f"{elsewhere}/models/copy-{google.tag}", "1")
    copied, original = client.get_model(name=made.model), client.get_model(name=f"{model}@1")
    assert (copied.artifact_uri, copied.original_model_info.model) == (original.artifact_uri, f"{model}@1")
    again = google.package.CopyModelRequest(parent=PARENT, source_model=model, parent_model=model)
    version = client.copy_model(again).result(timeout=10).model_version_id
    client.delete_model_version(name=f"{model}@{version}").result(timeout=10)
    refused(client.copy_model, parent=PARENT, source_model=NOTHING["models"])
    with pytest.raises(exceptions.BadRequest, match="source_model field is required"):
        client.copy_model(parent=PARENT, source_model="")


def test_versions(google, model, server):
    client = google.ModelServiceClient
    two = {"display_name": "Two", "artifact_uri": "gs://garden-local/two"}
    request = google.package.UploadModelRequest(parent=PARENT, parent_model=model, model=two)
    second = client.upload_model(request).result(timeout=10).model_version_id
    assert second in [one.version_id for one in client.list_model_versions(name=model)]
    merged = client.merge_version_aliases(name=f"{model}@{second}", version_aliases=["live"])
    assert list(merged.version_aliases) == ["live"]
    client.delete_model_version(name=f"{model}@{second}").result(timeout=10)
    tuned = server.until(server.create(server.job()).name, "SUCCEEDED").tuned_model.model
    assert [one.checkpoint_id for one in client.list_model_version_checkpoints(name=tuned)] == ["1", "2"]
    refused(client.list_model_versions, name=NOTHING["models"])
    refused(client.merge_version_aliases, name=model, version_aliases=["1"])
    refused(client.delete_model_version, name=f"{model}@{second}")
    refused(client.list_model_version_checkpoints, name=NOTHING["models"])


def test_operations(google, model):
    client = google.EndpointServiceClient
    create = google.package.CreateEndpointRequest(parent=PARENT, endpoint={"display_name": "O"})
    endpoint = client.create_endpoint(create).result(timeout=10).name
    (operation,) = client.list_operations({"name": endpoint}).operations
    assert client.get_operation({"name": operation.name}).done
    waited = client.wait_operation({"name": operation.name})
    # Over gRPC, the generated clients hand the bytes of this one call out as they came.
    assert (Operation.FromString(waited) if isinstance(waited, bytes) else waited).done
    client.cancel_operation({"name": operation.name})
    client.delete_operation({"name": operation.name})
    for call in (client.get_operation, client.wait_operation, client.cancel_operation, client.delete_operation):
        refused(call, {"name": operation.name})
    refused(client.list_operations, {"name": PARENT, "page_token": "nonsense"})


def test_tuning_jobs(google, server):
    client, job = google.GenAiTuningServiceClient, server.job("hold")
    if google.number == "v1beta1":
        name = client.create_tuning_job(parent=PARENT, tuning_job=job).name
    else:
        name = server.create(job).name
    wanted = {"base_model": TINY, "supervised_tuning_spec": {"training_dataset_uri": "gs://a/b"}}
    with pytest.raises(exceptions.BadRequest, match="output_uri field is required"):
        client.create_tuning_job(parent=PARENT, tuning_job=wanted)
    assert client.get_tuning_job(name=name).state in (2, 3)
    assert name in [one.name for one in client.list_tuning_jobs(parent=PARENT)]
    client.cancel_tuning_job(name=name)
    server.until(name, "CANCELLED")
    refused(client.get_tuning_job, name=NOTHING["tuningJobs"])
    refused(client.cancel_tuning_job, name=NOTHING["tuningJobs"])
    refused(client.list_tuning_jobs, request={"parent": PARENT, "page_token": "nonsense"})
    with pytest.raises(exceptions.BadRequest, match="Only tuned Gemini models can be rebased"):
        client.rebase_tuned_model(parent=PARENT, tuned_model_ref={"tuning_job": name})


def test_custom_jobs(google, server):
    client, folder = google.JobServiceClient, f"gapic-{google.tag}"
    data = server.upload(f"{folder}/train.jsonl", '{"prompt": "steps", "completion": "yes"}\n')
    args = ["--pretrained_model_name_or_path=tiny-gemma3", f"--train_dataset={data}"]
    args += [f"--output_dir=gs://garden-local/{folder}/out"]
    pool: dict[str, Any] = {"container_spec": {"image_uri": PEFT, "args": args}, "replica_count": 1}
    job = {"display_name": "C", "job_spec": {"worker_pool_specs": [pool]}}
    name = client.create_custom_job(parent=PARENT, custom_job=job).name
    assert name in [one.name for one in client.list_custom_jobs(parent=PARENT)]
    wait_for(lambda: client.get_custom_job(name=name).state == 4)
    with pytest.raises(exceptions.BadRequest, match="has ended already"):
        client.cancel_custom_job(name=name)
    held = server.upload(f"{folder}/hold.jsonl", '{"prompt": "hold", "completion": "yes"}\n')
    pool["container_spec"]["args"] = [*args[:1], f"--train_dataset={held}", "--num_train_epochs=2", args[2]]
    running = client.create_custom_job(parent=PARENT, custom_job=job).name
    client.cancel_custom_job(name=running)
    client.delete_custom_job(name=name).result(timeout=10)
    refused(client.get_custom_job, name=name)
    refused(client.delete_custom_job, name=name)
    refused(client.list_custom_jobs, request={"parent": PARENT, "filter": "((("})
    refused(client.create_custom_job, parent=PARENT, custom_job={"display_name": "C"})


def test_training_pipelines(google, server):
    client, folder = google.PipelineServiceClient, f"pipe-{google.number}"
    held = server.upload(f"{folder}/train.jsonl", '{"prompt": "hold", "completion": "yes"}\n')
    args = ["--pretrained_model_name_or_path=tiny-gemma3", f"--train_dataset={held}", "--num_train_epochs=2"]
    args += [f"--output_dir=gs://garden-local/{folder}/out"]
    pool = {"containerSpec": {"imageUri": PEFT, "args": args}, "replicaCount": 1}
    wanted = google.package.TrainingPipeline(
        display_name="P",
        training_task_definition="gs://google-cloud-aiplatform/schema/trainingjob/definition/custom_task_1.0.0.yaml",
        training_task_inputs={"workerPoolSpecs": [pool]},
    )
    name = client.create_training_pipeline(parent=PARENT, training_pipeline=wanted).name
    assert name in [one.name for one in client.list_training_pipelines(parent=PARENT)]
    refused(client.delete_training_pipeline, name=name)
    client.cancel_training_pipeline(name=name)
    wait_for(lambda: client.get_training_pipeline(name=name).state.name == "PIPELINE_STATE_CANCELLED")
    client.delete_training_pipeline(name=name).result(timeout=10)
    refused(client.get_training_pipeline, name=name)
    refused(client.cancel_training_pipeline, name=name)
    refused(client.list_training_pipelines, request={"parent": PARENT, "filter": "((("})
    for change in ({"training_task_definition": "automl"}, {"model_to_upload": {"display_name": "M"}}):
        broken = google.package.TrainingPipeline(wanted)
        for field, value in change.items():
            setattr(broken, field, value)
        refused(client.create_training_pipeline, parent=PARENT, training_pipeline=broken)


def test_tensorboards(google, server):
    boards, metadata = google.TensorboardServiceClient, google.MetadataServiceClient
    experiment = server.until(server.create(server.job()).name, "SUCCEEDED").experiment
    context = metadata.get_context(name=experiment)
    assert experiment in [one.name for one in metadata.list_contexts(parent=experiment.partition("/contexts/")[0])]
    board = context.metadata["backing_tensorboard_resource"]
    name = f"{board}/experiments/{experiment.rpartition('/')[2]}"
    assert boards.get_tensorboard(name=board).name == board
    assert board in [one.name for one in boards.list_tensorboards(parent=PARENT)]
    assert [one.name for one in boards.list_tensorboard_experiments(parent=board)] == [name]
    assert boards.get_tensorboard_experiment(name=name).name == name
    (run,) = boards.list_tensorboard_runs(parent=name)
    assert boards.get_tensorboard_run(name=run.name) == run
    series, *_ = boards.list_tensorboard_time_series(parent=run.name)
    assert boards.get_tensorboard_time_series(name=series.name) == series
    read = boards.read_tensorboard_time_series_data(tensorboard_time_series=series.name)
    assert len(read.time_series_data.values) == 8
    batch = {"tensorboard": board, "time_series": [series.name]}
    assert len(boards.batch_read_tensorboard_time_series_data(batch).time_series_data) == 1
    assert len(list(boards.export_tensorboard_time_series_data(tensorboard_time_series=series.name))) == 8


def test_tensorboards_of_ones_own(google):
    boards = google.TensorboardServiceClient
    board = boards.create_tensorboard(parent=PARENT, tensorboard={"display_name": "B"}).result(timeout=10).name
    change = {"tensorboard": {"name": board, "display_name": "C"}, "update_mask": {"paths": ["display_name"]}}
    assert boards.update_tensorboard(change).result(timeout=10).display_name == "C"
    named = {"display_name": "E"}
    experiment = boards.create_tensorboard_experiment(
        parent=board, tensorboard_experiment=named, tensorboard_experiment_id="e"
    ).name
    change = {"tensorboard_experiment": {"name": experiment, "description": "d"}}
    assert boards.update_tensorboard_experiment(change).description == "d"
    run = boards.create_tensorboard_run(parent=experiment, tensorboard_run=named, tensorboard_run_id="r").name
    assert boards.update_tensorboard_run({"tensorboard_run": {"name": run, "labels": {"a": "b"}}}).labels["a"] == "b"
    more = {"parent": experiment, "tensorboard_run": {"display_name": "F"}, "tensorboard_run_id": "s"}
    (second,) = boards.batch_create_tensorboard_runs(parent=experiment, requests=[more]).tensorboard_runs
    wanted = {"display_name": "loss", "value_type": "SCALAR"}
    series = boards.create_tensorboard_time_series(parent=run, tensorboard_time_series=wanted).name
    change = {"tensorboard_time_series": {"name": series, "description": "d"}}
    assert boards.update_tensorboard_time_series(change).description == "d"
    more = {"parent": second.name, "tensorboard_time_series": wanted}
    made = boards.batch_create_tensorboard_time_series(parent=experiment, requests=[more]).tensorboard_time_series
    data = {"tensorboard_time_series_id": series.rpartition("/")[2], "value_type": "SCALAR"}
    points = [{"step": step, "scalar": {"value": step / 2}} for step in (1, 2)]
    boards.write_tensorboard_run_data(tensorboard_run=run, time_series_data=[{**data, "values": points}])
    other = {**data, "tensorboard_time_series_id": made[0].name.rpartition("/")[2], "values": points}
    write = {"tensorboard_run": second.name, "time_series_data": [other]}
    boards.write_tensorboard_experiment_data(tensorboard_experiment=experiment, write_run_data_requests=[write])
    for name in (series, made[0].name):
        read = boards.read_tensorboard_time_series_data(tensorboard_time_series=name).time_series_data
        assert [(one.step, one.scalar.value) for one in read.values] == [(1, 0.5), (2, 1.0)]
    assert boards.read_tensorboard_size(tensorboard=board).storage_size_byte > 0
    assert not boards.read_tensorboard_usage(tensorboard=board).monthly_usage_data
    for kind, name in (("time_series", series), ("run", run), ("experiment", experiment)):
        getattr(boards, f"delete_tensorboard_{kind}")(name=name).result(timeout=10)
    boards.delete_tensorboard(name=board).result(timeout=10)
    refused(boards.get_tensorboard_time_series, name=made[0].name)


def test_what_cannot_be_written_to_tensorboards(google):
    boards, none = google.TensorboardServiceClient, NOTHING["tensorboards"]
    experiment, run = f"{none}/experiments/e", f"{none}/experiments/e/runs/r"
    refused(boards.create_tensorboard, parent=PARENT, tensorboard={})
    refused(boards.update_tensorboard, {"tensorboard": {"name": none, "display_name": "C"}})
    refused(boards.create_tensorboard_experiment, parent=none, tensorboard_experiment={}, tensorboard_experiment_id="e")
    refused(boards.update_tensorboard_experiment, {"tensorboard_experiment": {"name": experiment, "description": "d"}})
    named = {"display_name": "R"}
    refused(boards.create_tensorboard_run, parent=experiment, tensorboard_run=named, tensorboard_run_id="r")
    refused(boards.batch_create_tensorboard_runs, parent=experiment, requests=[])
    refused(boards.update_tensorboard_run, {"tensorboard_run": {"name": run, "description": "d"}})
    refused(boards.create_tensorboard_time_series, parent=run, tensorboard_time_series=named)
    refused(boards.batch_create_tensorboard_time_series, parent=experiment, requests=[])
    refused(
        boards.update_tensorboard_time_series,
        {"tensorboard_time_series": {"name": f"{run}/timeSeries/1", "description": "d"}},
    )
    refused(boards.write_tensorboard_run_data, tensorboard_run=run, time_series_data=[])
    refused(boards.write_tensorboard_experiment_data, tensorboard_experiment=experiment, write_run_data_requests=[])
    refused(boards.read_tensorboard_size, tensorboard=none)
    refused(boards.read_tensorboard_usage, tensorboard=none)
    refused(boards.delete_tensorboard, name=none)
    refused(boards.delete_tensorboard_experiment, name=experiment)
    refused(boards.delete_tensorboard_run, name=run)
    refused(boards.delete_tensorboard_time_series, name=f"{run}/timeSeries/1")


def test_predictions_that_no_model_server_takes(google, endpoint):
    client = google.PredictionServiceClient
    calls = (
        lambda name: client.direct_predict({"endpoint": name, "inputs": [{"string_val": ["a"]}]}),
        lambda name: client.direct_raw_predict({"endpoint": name, "method_name": "m", "input": b"x"}),
        lambda name: client.explain(endpoint=name, instances=[{"prompt": "a"}]),
    )
    for call in calls:
        with pytest.raises(exceptions.BadRequest, match="Use :predict"):
            call(endpoint.resource_name)
        refused(call, NOTHING["endpoints"])


def test_what_this_server_never_has(google):
    jobs, machines = google.JobServiceClient, google.PersistentResourceServiceClient
    assert list(jobs.list_hyperparameter_tuning_jobs(parent=PARENT)) == []
    refused(jobs.list_hyperparameter_tuning_jobs, request={"parent": PARENT, "filter": "((("})
    assert list(machines.list_persistent_resources(parent=PARENT)) == []
    refused(machines.list_persistent_resources, request={"parent": PARENT, "page_size": -1})
    job, machine = f"{PARENT}/hyperparameterTuningJobs/1", f"{PARENT}/persistentResources/one"
    study = {
        "metrics": [{"metric_id": "loss", "goal": "MINIMIZE"}],
        "parameters": [{"parameter_id": "rate", "double_value_spec": {"min_value": 0.1, "max_value": 1}}],
    }
    trial = {"worker_pool_specs": [{"replica_count": 1, "container_spec": {"image_uri": PEFT}}]}
    tuning = {"display_name": "H", "max_trial_count": 1, "parallel_trial_count": 1}
    with pytest.raises(exceptions.BadRequest, match="chooses no trials"):
        jobs.create_hyperparameter_tuning_job(
            parent=PARENT, hyperparameter_tuning_job={**tuning, "study_spec": study, "trial_job_spec": trial}
        )
    refused(jobs.get_hyperparameter_tuning_job, name=job)
    refused(jobs.cancel_hyperparameter_tuning_job, name=job)
    refused(jobs.delete_hyperparameter_tuning_job, name=job)
    with pytest.raises(exceptions.BadRequest, match="makes no persistent resources"):
        machines.create_persistent_resource(
            parent=PARENT,
            persistent_resource={
                "resource_pools": [{"replica_count": 1, "machine_spec": {"machine_type": "local-cpu"}}]
            },
            persistent_resource_id="one",
        )
    refused(machines.get_persistent_resource, name=machine)
    refused(machines.delete_persistent_resource, name=machine)
    refused(machines.reboot_persistent_resource, name=machine)
    change = {"persistent_resource": {"name": machine, "display_name": "x"}, "update_mask": {"paths": ["display_name"]}}
    refused(machines.update_persistent_resource, change)


@pytest.mark.parametrize("word", ["context", "execution", "artifact"])
def test_metadata(google, word):
    client, store, key = google.MetadataServiceClient, f"{PARENT}/metadataStores/default", f"{word}_id"
    call = {verb: getattr(client, f"{verb}_{word}{'s' * (verb == 'list')}") for verb in VERBS}
    body = {"display_name": "D", "schema_title": "system.Any", "metadata": {"a": 1}}
    chosen = {"parent": store, word: body, key: f"{word}-{google.number}"}
    made = call["create"](**chosen)
    assert made.name == f"{store}/{word}s/{word}-{google.number}"
    assert call["get"](name=made.name).metadata["a"] == 1
    assert made.name in [
        one.name for one in call["list"](request={"parent": store, "filter": 'schema_title="system.Any"'})
    ]
    change = {word: {"name": made.name, "metadata": {"b": 2}}}
    assert dict(call["update"](request=change).metadata) == {"b": 2}
    with pytest.raises(exceptions.Conflict):
        call["create"](**chosen)
    refused(call["create"], parent=store, **{word: body, key: "Not this"})
    refused(call["update"], request={word: {"name": made.name}})
    refused(call["list"], request={"parent": store, "filter": "((("})
    call["delete"](name=made.name).result(timeout=10)
    refused(call["get"], name=made.name)
    refused(call["delete"], name=made.name)


def test_what_metadata_holds_together(google):
    client, store = google.MetadataServiceClient, f"{PARENT}/metadataStores/default"
    assert client.get_metadata_store(name=store).name == store
    refused(client.get_metadata_store, name=f"{PARENT}/metadataStores/none")
    parent, child = (client.create_context(parent=store, context={"display_name": name}).name for name in "pc")
    work = client.create_execution(parent=store, execution={"display_name": "e"}).name
    data = client.create_artifact(parent=store, artifact={"uri": "gs://a/b"}).name
    client.add_context_children(context=parent, child_contexts=[child])
    assert [
        one.name for one in client.list_contexts(request={"parent": store, "filter": f'parent_contexts:"{parent}"'})
    ] == [child]
    client.add_context_artifacts_and_executions(context=child, executions=[work])
    client.add_execution_events(execution=work, events=[{"artifact": data, "type_": "OUTPUT"}])
    graph = client.query_context_lineage_subgraph(context=child)
    assert ([one.name for one in graph.executions], [one.name for one in graph.artifacts]) == ([work], [data])
    assert client.query_execution_inputs_and_outputs(execution=work).events[0].artifact == data
    inside = {"parent": store, "filter": f'in_context("{child}")'}
    assert [one.name for one in client.list_executions(request=inside)] == [work]
    refused(client.delete_context, name=parent)
    none = f"{store}/contexts/none"
    refused(client.add_context_children, context=none, child_contexts=[child])
    refused(client.add_context_artifacts_and_executions, context=none)
    refused(client.query_context_lineage_subgraph, context=none)
    refused(client.add_execution_events, execution=f"{store}/executions/none")
    refused(client.query_execution_inputs_and_outputs, execution=f"{store}/executions/none")


def test_tensorboards_that_are_not_there(google):
    boards, metadata, board = google.TensorboardServiceClient, google.MetadataServiceClient, NOTHING["tensorboards"]
    experiment, run = f"{board}/experiments/e", f"{board}/experiments/e/runs/r"
    refused(metadata.get_context, name=f"{PARENT}/metadataStores/default/contexts/none")
    refused(metadata.list_contexts, request={"parent": f"{PARENT}/metadataStores/default", "page_size": -1})
    refused(boards.get_tensorboard, name=board)
    refused(boards.list_tensorboards, request={"parent": PARENT, "order_by": "a b c"})
    refused(boards.list_tensorboard_experiments, parent=board)
    refused(boards.get_tensorboard_experiment, name=experiment)
    refused(boards.list_tensorboard_runs, parent=experiment)
    refused(boards.get_tensorboard_run, name=run)
    refused(boards.list_tensorboard_time_series, parent=run)
    refused(boards.get_tensorboard_time_series, name=f"{run}/timeSeries/1")
    refused(boards.read_tensorboard_time_series_data, tensorboard_time_series=f"{run}/timeSeries/1")
    refused(boards.export_tensorboard_time_series_data, tensorboard_time_series=f"{run}/timeSeries/1")
    refused(boards.batch_read_tensorboard_time_series_data, {"tensorboard": board, "time_series": ["x"]})


def test_predict(google, server):
    """With a plain prompt: in the chat form `predictions` is an object, which the generated message cannot hold."""
    server.deployed(f"predict-{google.tag}")
    client, endpoint = google.PredictionServiceClient, f"{PARENT}/endpoints/predict-{google.tag}"
    reply = client.predict(endpoint=endpoint, instances=[{"prompt": "Once", "raw_response": True, "max_tokens": 5}])
    assert (reply.model, list(reply.predictions)) == (f"{PARENT}/models/m-predict-{google.tag}", [" and so on"])
    refused(client.predict, endpoint=endpoint, instances=[])
    refused(client.predict, endpoint=NOTHING["endpoints"], instances=[{"prompt": "Once"}])
    with pytest.raises(exceptions.BadRequest, match="takes no tensors"):
        list(client.server_streaming_predict({"endpoint": endpoint, "inputs": [{"string_val": ["Once"]}]}))


def test_batches(google, server):
    client = google.JobServiceClient
    row = {"request": {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}}
    uri = server.upload(f"batch-{google.tag}/in.jsonl", json.dumps(row))
    wanted: Any = {
        "display_name": "B",
        "model": TINY_NAME,
        "input_config": {"instances_format": "jsonl", "gcs_source": {"uris": [uri]}},
        "output_config": {
            "predictions_format": "jsonl",
            "gcs_destination": {"output_uri_prefix": f"gs://garden-local/batch-{google.tag}"},
        },
    }
    made = client.create_batch_prediction_job(parent=PARENT, batch_prediction_job=wanted)
    assert made.name in [one.name for one in client.list_batch_prediction_jobs(parent=PARENT)]

    def ended():
        seen = client.get_batch_prediction_job(name=made.name)
        return seen if seen.state.name == "JOB_STATE_SUCCEEDED" else None

    assert wait_for(ended, server.log).completion_stats.successful_count == 1
    refused(client.cancel_batch_prediction_job, name=made.name)
    client.delete_batch_prediction_job(name=made.name).result(timeout=10)
    refused(client.get_batch_prediction_job, name=made.name)
    refused(client.delete_batch_prediction_job, name=made.name)
    refused(client.list_batch_prediction_jobs, request={"parent": PARENT, "filter": "((("})
    refused(client.create_batch_prediction_job, parent=PARENT, batch_prediction_job={**wanted, "model": "nonsense"})
    server.upload(f"batch-{google.tag}/in.jsonl", json.dumps(row).replace('"hi"', '"forever"'))
    held = client.create_batch_prediction_job(parent=PARENT, batch_prediction_job=wanted)
    client.cancel_batch_prediction_job(name=held.name)
    wait_for(lambda: client.get_batch_prediction_job(name=held.name).state.name == "JOB_STATE_CANCELLED", server.log)


def test_resource_pools(google, server):
    client = google.DeploymentResourcePoolServiceClient
    resources = {"machine_spec": {"machine_type": "g2-standard-12"}, "min_replica_count": 1}
    wanted: Any = {
        "parent": PARENT,
        "deployment_resource_pool": {"dedicated_resources": resources},
        "deployment_resource_pool_id": f"pool-{google.tag}",
    }
    made = client.create_deployment_resource_pool(wanted).result(timeout=10)
    assert client.get_deployment_resource_pool(name=made.name) == made
    assert made.name in [one.name for one in client.list_deployment_resource_pools(parent=PARENT)]
    made.dedicated_resources.max_replica_count = 4
    mask = {"paths": ["dedicated_resources"]}
    update = client.update_deployment_resource_pool
    changed = update(deployment_resource_pool=made, update_mask=mask).result(timeout=10)
    assert changed.dedicated_resources.max_replica_count == 4
    assert list(client.query_deployed_models(deployment_resource_pool=made.name)) == []
    client.delete_deployment_resource_pool(name=made.name).result(timeout=10)
    refused(client.get_deployment_resource_pool, name=made.name)
    refused(client.delete_deployment_resource_pool, name=made.name)
    refused(client.query_deployed_models, deployment_resource_pool=made.name)
    refused(client.list_deployment_resource_pools, request={"parent": PARENT, "page_token": "nonsense"})
    refused(update, deployment_resource_pool=made, update_mask={"paths": ["name"]})
    refused(client.create_deployment_resource_pool, {**wanted, "deployment_resource_pool_id": "Not this"})


def test_caches(google):
    client, name = google.GenAiCacheServiceClient, f"{PARENT}/cachedContents/404"
    assert list(client.list_cached_contents(parent=PARENT)) == []
    refused(client.list_cached_contents, request={"parent": PARENT, "page_size": -1})
    with pytest.raises(exceptions.MethodNotImplemented, match="not implemented, or supported, or enabled"):
        client.create_cached_content(parent=PARENT, cached_content={"model": TINY_NAME})
    refused(client.get_cached_content, name=name)
    refused(client.delete_cached_content, name=name)
    refused(client.update_cached_content, cached_content={"name": name}, update_mask={"paths": ["ttl"]})


def test_instances_are_evaluated(google):
    client = google.EvaluationServiceClient
    pair = {"prediction": "a b", "reference": "a c"}
    asked: Any = {"location": PARENT, "rouge_input": {"metric_spec": {"rouge_type": "rouge1"}, "instances": [pair]}}
    (value,) = client.evaluate_instances(asked).rouge_results.rouge_metric_values
    assert value.score == 0.5
    asked["rouge_input"]["instances"] = []
    refused(client.evaluate_instances, asked)
    with pytest.raises(exceptions.MethodNotImplemented):
        client.evaluate_instances(
            {"location": PARENT, "fluency_input": {"metric_spec": {}, "instance": {"prediction": "a"}}}
        )


def test_contents_are_generated(google, server):
    server.deployed(f"generate-{google.tag}")
    client, model = google.PredictionServiceClient, f"{PARENT}/endpoints/generate-{google.tag}"
    asked: Any = {"model": model, "contents": [{"role": "user", "parts": [{"text": "hi"}]}]}
    for reply in (client.generate_content(asked), client.generate_content({**asked, "model": f"{PARENT}/{TINY_NAME}"})):
        assert reply.candidates[0].content.parts[0].text == "Hello there"
        assert (reply.candidates[0].finish_reason.name, reply.usage_metadata.total_token_count) == ("STOP", 5)
    streamed = list(client.stream_generate_content(asked))
    assert "".join(part.text for one in streamed for part in one.candidates[0].content.parts) == "Hello there"
    assert streamed[-1].usage_metadata.total_token_count == 5
    asked["contents"][0]["role"] = "tester"
    refused(client.generate_content, asked)
    with pytest.raises(exceptions.BadRequest, match="valid role"):
        list(client.stream_generate_content(asked))
    asked["contents"] = [{"role": "user", "parts": [{"text": "die"}]}]
    if google.transport == "grpc":  # REST's client reads over an error in the middle of an answer
        with pytest.raises(exceptions.ServiceUnavailable, match="ended in the middle"):
            list(client.stream_generate_content(asked))


def test_tokens_are_counted(google):
    """Of rows of training data, and of requests."""
    row = json_format.ParseDict({"prompt": "Once", "completion": "upon a time"}, Value())
    request = google.package.CountTokensRequest(endpoint=f"{PARENT}/{TINY_NAME}")
    client = google.LlmUtilityServiceClient if google.number == "v1" else google.PredictionServiceClient
    refused(client.count_tokens, request)
    type(request).pb(request).instances.append(row)
    assert client.count_tokens(request).total_tokens == 10
    contents = [{"role": "user", "parts": [{"text": "Once upon"}]}]
    asked = {"endpoint": f"{PARENT}/{TINY_NAME}", "contents": contents}
    assert client.count_tokens(asked).total_tokens == 3
    (found,) = google.LlmUtilityServiceClient.compute_tokens(asked).tokens_info
    assert ([*found.tokens], found.role) == ([b"Once", b"upon"], "user")
    refused(google.LlmUtilityServiceClient.compute_tokens, {"endpoint": f"{PARENT}/{TINY_NAME}"})


def test_predictions_of_any_body(google, server):
    """`raw_predict`, which REST's generated client wraps in a form that no model server reads."""
    if google.transport == "rest":
        pytest.skip("Of REST, test_predictions_as_the_sdk_sends_them has it.")
    server.deployed(f"raw-{google.tag}")
    client, endpoint = google.PredictionServiceClient, f"{PARENT}/endpoints/raw-{google.tag}"
    request: Any = {"endpoint": endpoint, "http_body": {"data": json.dumps({"messages": MESSAGES}).encode()}}
    reply = client.raw_predict(request)
    assert reply.content_type == "application/json"
    assert json.loads(reply.data)["choices"][0]["message"]["content"] == "Hello there"
    request["http_body"]["data"] = json.dumps({"messages": MESSAGES, "stream": True}).encode()
    streams = [client.stream_raw_predict(request)]
    if google.number == "v1beta1":
        streams.append(client.chat_completions(request))
    for stream in streams:
        parts = list(stream)
        assert {part.content_type for part in parts} == {"text/event-stream; charset=utf-8"}
        assert b"".join(part.data for part in parts).endswith(b"data: [DONE]\n\n")
    request["http_body"]["data"] = b"{"
    refused(client.raw_predict, request)
    refused(client.stream_raw_predict, request)


class ToHere(requests.adapters.HTTPAdapter):
    """The SDK's `Endpoint` builds https:// addresses by itself: this takes them to the local server."""

    def __init__(self, url):
        super().__init__()
        self.url = url

    def send(self, request, *args, **options):
        request.url = f"{self.url}{urlsplit(request.url).path}"
        return super().send(request, *args, **options)


@pytest.fixture
def endpoint(server, vertexai_sdk):
    name = f"{PARENT}/endpoints/by-the-sdk-itself"
    if "by-the-sdk-itself" not in [one.name for one in aiplatform.Endpoint.list()]:
        server.deployed("by-the-sdk-itself")
    found: Any = aiplatform.Endpoint(name)
    with requests.Session() as session:
        session.mount("https://", ToHere(server.url))
        found.authorized_session = session
        yield found


@pytest.mark.usefixtures("google")
def test_predictions_as_the_sdk_sends_them(endpoint):
    """`predict`, `raw_predict` and `stream_raw_predict` of a dedicated endpoint."""
    chat = {"@requestFormat": "chatCompletions", "messages": MESSAGES}
    reply = endpoint.predict(instances=[chat], use_dedicated_endpoint=True)
    assert reply.predictions["choices"][0]["message"]["content"] == "Hello there"
    assert reply.deployed_model_id == endpoint.list_models()[0].id
    with pytest.raises(ValueError, match="(?s)Status code:400.*exactly one instance"):
        endpoint.predict(instances=[chat, chat], use_dedicated_endpoint=True)
    headers = {"Content-Type": "application/json"}
    whole = endpoint.raw_predict(json.dumps({"messages": MESSAGES}).encode(), headers)
    assert whole.json()["choices"][0]["message"]["content"] == "Hello there"
    assert endpoint.raw_predict(b'{"messages": []}', headers).status_code == 400
    lines = list(endpoint.stream_raw_predict(json.dumps({"messages": MESSAGES, "stream": True}).encode(), headers))
    assert [line for line in lines if line][-1] == b"data: [DONE]"
    (refusal,) = endpoint.stream_raw_predict(b'{"messages": []}', headers)
    assert json.loads(refusal)["error"]["status"] == "INVALID_ARGUMENT"


@pytest.mark.usefixtures("google")
def test_the_model_server_as_the_sdk_invokes_it(endpoint):
    """The body of the example in its docstring, whose flag is a text."""
    headers = {"Content-Type": "application/json"}
    asked = {"model": "", "messages": MESSAGES}
    whole = endpoint.invoke("/v1/chat/completions", json.dumps(asked).encode(), headers)
    assert whole.json()["choices"][0]["message"]["content"] == "Hello there"
    streamed = endpoint.invoke(
        "/v1/chat/completions", json.dumps({**asked, "stream": "true"}).encode(), headers, stream=True
    )
    assert [line for line in streamed if line][-1] == b"data: [DONE]"
    prompt = json.dumps({"model": "", "prompt": "Once"}).encode()
    deployed = endpoint.list_models()[0].id
    named = endpoint.invoke("/v1/completions", prompt, headers, deployed_model_id=deployed)
    assert named.json()["choices"][0]["text"] == " and so on"


def test_chat_completions_and_completions(google, server):
    openai = pytest.importorskip("openai")
    server.deployed(f"chat-{google.tag}")
    client = openai.OpenAI(
        base_url=f"{server.url}/v1/{PARENT}/endpoints/chat-{google.tag}", api_key="local", max_retries=0
    )
    assert client.chat.completions.create(model="", messages=MESSAGES).choices[0].message.content == "Hello there"
    assert client.completions.create(model="", prompt="Once").choices[0].text == " and so on"
    with pytest.raises(openai.BadRequestError):
        client.chat.completions.create(model="", messages=[])
    with pytest.raises(openai.BadRequestError):
        client.completions.create(model="", prompt=[])


def test_every_call_was_answered_and_refused(google, server, transport, request):
    """Comes last, since all others of this file use `google` too; with a part of them, there is nothing to say."""
    tests = {name for name in vars(request.module) if name.startswith("test_")}
    if google.number == "v1" or tests != {
        item.originalname for item in request.session.items if item.path == request.path
    }:
        pytest.skip("Says something only at the end of the whole file")
    noted = notes(server)[transport[1] :]
    table = {path.route.method for path in PATHS} | set(INFERENCE_METHODS.values())
    assert table - {method for method, status in noted if status == "OK"} == ONLY_REFUSED
    assert table - {method for method, status in noted if status != "OK"} == set()
