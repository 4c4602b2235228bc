"""For each call a request that works, with names of its own; what it needs is made before."""

import itertools
from typing import Any, Self

import httpx

from tests.jobs.localvertex.alone.later_seeds import LaterSeeds
from tests.jobs.localvertex.servers import BUCKET, PARENT, PROJECT, TINY, TINY_NAME, LocalVertex, wait_for

Body = dict[str, Any]
STORE = f"{PARENT}/metadataStores/default"
MODEL, ENDPOINT = f"{PARENT}/models/m-fields", f"{PARENT}/endpoints/fields"
TRAIN = f"gs://{BUCKET}/fields/train.jsonl"
CONTAINER = {
    "imageUri": "us-docker.pkg.dev/x/pytorch-peft-train:1",
    "args": [
        "--pretrained_model_name_or_path=tiny-gemma3",
        f"--train_dataset={TRAIN}",
        f"--output_dir=gs://{BUCKET}/fields/custom",
    ],
}
SPEC = {"workerPoolSpecs": [{"containerSpec": CONTAINER, "replicaCount": 1}]}
CUSTOM_TASK = "gs://google-cloud-aiplatform/schema/trainingjob/definition/custom_task_1.0.0.yaml"
PIPELINE = {"displayName": "F", "trainingTaskDefinition": CUSTOM_TASK, "trainingTaskInputs": SPEC}
RESOURCES = {"machineSpec": {"machineType": "local-cpu"}, "minReplicaCount": 1}
DEPLOYED = {"model": MODEL, "dedicatedResources": RESOURCES}
TUNING = {
    "baseModel": TINY,
    "outputUri": f"gs://{BUCKET}/fields/out",
    "supervisedTuningSpec": {"trainingDatasetUri": TRAIN},
    "tunedModelDisplayName": "F",
}


class World(LaterSeeds):
    def __init__(self, server: LocalVertex) -> None:
        self.server = server
        self.http = httpx.Client(base_url=f"{server.url}/v1beta1/", trust_env=False, timeout=60)
        self.numbers = itertools.count()
        self.board = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()

    def prepare(self) -> None:
        """Two of each kind, so that lists have something to choose from."""
        self.server.upload("fields/train.jsonl", '{"prompt": "steps", "completion": "yes"}\n')
        self.server.upload("fields/hf/config.json", "{}")
        self.server.upload("fields/hf/model.safetensors", "weights")
        self.server.deployed("fields")
        for number in ("one", "two"):
            self.make_endpoint(number)
            self.make_model(number)
            self.ended("customJobs", {"displayName": number, "jobSpec": SPEC})
            self.ended("trainingPipelines", PIPELINE | {"displayName": number})
            job = str(self.post(f"{PARENT}/tuningJobs", TUNING | {"tunedModelDisplayName": number})["name"])
            self.server.until(job, "SUCCEEDED")
            for kind in ("context", "execution", "artifact"):
                self.make_metadata(kind, number)
        self.make_version(f"{PARENT}/models/f-one")
        self.board = f"{PARENT}/tensorboards/{job.rpartition('/')[2]}"

    def seed(self, method: str) -> Body:
        number = f"n{next(self.numbers)}x"
        make = getattr(self, method, None) or CALLS[method]
        return dict(make(number))

    def post(self, path: str, body: Body | None = None) -> Any:
        reply = self.http.post(path, json=body or {})
        assert reply.status_code == 200, (path, body, reply.text)
        return reply.json()

    def finish(self, name: str) -> Any:
        def done() -> Any:
            found = self.http.get(name).json()
            return found if found.get("done") else None

        return wait_for(done, self.server.log)

    def make_endpoint(self, number: str) -> str:
        self.post(f"{PARENT}/endpoints?endpointId=f-{number}", {"displayName": "F"})
        return f"{PARENT}/endpoints/f-{number}"

    def upload_model(self, number: str) -> Body:
        return {"parent": PARENT, "modelId": f"f-{number}", "model": self.plain_model()}

    def plain_model(self) -> Body:
        return {"displayName": "F", "artifactUri": f"gs://{BUCKET}/fields/hf"}

    def make_model(self, number: str) -> str:
        self.post(f"{PARENT}/models:upload", {"model": self.plain_model(), "modelId": f"f-{number}"})
        return f"{PARENT}/models/f-{number}"

    def make_version(self, name: str) -> None:
        self.post(f"{PARENT}/models:upload", {"model": self.plain_model(), "parentModel": name})

    def ended(self, kind: str, body: Body) -> str:
        name = str(self.post(f"{PARENT}/{kind}", body)["name"])
        self.post(f"{name}:cancel")
        wait_for(lambda: self.http.get(name).json()["state"].endswith("_CANCELLED"), self.server.log)
        return name

    def make_metadata(self, kind: str, number: str) -> str:
        self.post(f"{STORE}/{kind}s?{kind}Id=f-{number}", {"displayName": number})
        return f"{STORE}/{kind}s/f-{number}"

    # The seeds that need something made, by the name of the call.

    def update_endpoint(self, number: str) -> Body:
        return {"endpoint": {"name": self.make_endpoint(number), "labels": {"a": number}}, "updateMask": "labels"}

    def update_endpoint_long_running(self, number: str) -> Body:
        return {"endpoint": {"name": self.make_endpoint(number), "clientConnectionConfig": {"inferenceTimeout": "9s"}}}

    def delete_endpoint(self, number: str) -> Body:
        return {"name": self.make_endpoint(number)}

    def deploy_model(self, number: str) -> Body:
        return {"endpoint": self.make_endpoint(number), "deployedModel": DEPLOYED}

    def mutate_deployed_model(self, _: str) -> Body:
        identifier = self.http.get(ENDPOINT).json()["deployedModels"][0]["id"]
        body = {
            "deployedModel": {"id": identifier, "dedicatedResources": RESOURCES},
            "updateMask": "dedicatedResources",
        }
        self.post(f"{ENDPOINT}:mutateDeployedModel", body)
        return {"endpoint": ENDPOINT, **body}

    def undeploy_model(self, number: str) -> Body:
        endpoint = self.make_endpoint(number)
        for identifier in ("1", "2"):
            split = {"0": 100} if identifier == "1" else {"1": 0, "0": 100}
            body = {"deployedModel": DEPLOYED | {"id": identifier}, "trafficSplit": split}
            self.finish(self.post(f"{endpoint}:deployModel", body)["name"])
        return {"endpoint": endpoint, "deployedModelId": "1"}

    def update_model(self, number: str) -> Body:
        return {"model": {"name": self.make_model(number), "labels": {"a": number}}, "updateMask": "labels"}

    def delete_model(self, number: str) -> Body:
        return {"name": self.make_model(number)}

    def delete_model_version(self, number: str) -> Body:
        name = self.make_model(number)
        self.make_version(name)
        return {"name": f"{name}@2"}

    def merge_version_aliases(self, number: str) -> Body:
        return {"name": self.make_model(number), "versionAliases": ["live"]}

    def cancel_custom_job(self, _: str) -> Body:
        return {"name": self.ended("customJobs", {"displayName": "F", "jobSpec": SPEC})}

    def delete_custom_job(self, number: str) -> Body:
        return self.cancel_custom_job(number)

    def cancel_training_pipeline(self, _: str) -> Body:
        return {"name": self.ended("trainingPipelines", PIPELINE)}

    def delete_training_pipeline(self, number: str) -> Body:
        return self.cancel_training_pipeline(number)

    def cancel_tuning_job(self, _: str) -> Body:
        return {"name": self.ended("tuningJobs", TUNING)}

    def update_context(self, number: str) -> Body:
        return {
            "context": {"name": self.make_metadata("context", number), "description": "d"},
            "updateMask": "description",
        }

    def update_execution(self, number: str) -> Body:
        named = {"name": self.make_metadata("execution", number), "description": "d"}
        return {"execution": named, "updateMask": "description"}

    def update_artifact(self, number: str) -> Body:
        named = {"name": self.make_metadata("artifact", number), "description": "d"}
        return {"artifact": named, "updateMask": "description"}

    def delete_context(self, number: str) -> Body:
        name, child = self.make_metadata("context", number), self.make_metadata("context", f"{number}-child")
        self.post(f"{name}:addContextChildren", {"childContexts": [child]})
        return {"name": name}

    def delete_execution(self, number: str) -> Body:
        return {"name": self.make_metadata("execution", number)}

    def delete_artifact(self, number: str) -> Body:
        return {"name": self.make_metadata("artifact", number)}

    def add_context_children(self, number: str) -> Body:
        return {"context": self.make_metadata("context", number)}

    def add_context_artifacts_and_executions(self, number: str) -> Body:
        return {"context": self.make_metadata("context", number)}

    def add_execution_events(self, number: str) -> Body:
        return {"execution": self.make_metadata("execution", number)}

    def list_tensorboard_experiments(self, _: str) -> Body:
        return {"parent": self.board}

    def get_tensorboard(self, _: str) -> Body:
        return {"name": self.board}

    def get_tensorboard_experiment(self, _: str) -> Body:
        return {"name": self._first(f"{self.board}/experiments", "tensorboardExperiments")}

    def list_tensorboard_runs(self, number: str) -> Body:
        return {"parent": self.get_tensorboard_experiment(number)["name"]}

    def get_tensorboard_run(self, number: str) -> Body:
        parent = self.get_tensorboard_experiment(number)["name"]
        return {"name": self._first(f"{parent}/runs", "tensorboardRuns")}

    def list_tensorboard_time_series(self, number: str) -> Body:
        return {"parent": self.get_tensorboard_run(number)["name"]}

    def get_tensorboard_time_series(self, number: str) -> Body:
        run = self.get_tensorboard_run(number)["name"]
        return {"name": self._first(f"{run}/timeSeries", "tensorboardTimeSeries")}

    def read_tensorboard_time_series_data(self, number: str) -> Body:
        return {"tensorboardTimeSeries": self.get_tensorboard_time_series(number)["name"]}

    def export_tensorboard_time_series_data(self, number: str) -> Body:
        return self.read_tensorboard_time_series_data(number)

    def batch_read_tensorboard_time_series_data(self, number: str) -> Body:
        series = self.get_tensorboard_time_series(number)["name"]
        return {"tensorboard": self.board, "timeSeries": [series]}

    def _first(self, path: str, key: str) -> str:
        return str(self.http.get(path).json()[key][0]["name"])


def _list(number: str) -> Body:
    return {"parent": PARENT}


CALLS: dict[str, Any] = {
    "list_publisher_models": lambda _: {"parent": "publishers/*"},
    "get_publisher_model": lambda _: {"name": TINY_NAME},
    "check_publisher_model_eula_acceptance": lambda _: {"parent": PROJECT, "publisherModel": TINY_NAME},
    "accept_publisher_model_eula": lambda _: {"parent": PROJECT, "publisherModel": TINY_NAME},
    "create_tuning_job": lambda _: {"parent": PARENT, "tuningJob": TUNING},
    "rebase_tuned_model": lambda _: {"parent": PARENT, "tunedModelRef": {"tuningJob": f"{PARENT}/tuningJobs/1"}},
    "create_custom_job": lambda _: {"parent": PARENT, "customJob": {"displayName": "F", "jobSpec": SPEC}},
    "create_training_pipeline": lambda _: {"parent": PARENT, "trainingPipeline": PIPELINE},
    "deploy": lambda number: {
        "destination": PARENT,
        "publisherModelName": TINY_NAME,
        "endpointConfig": {"endpointUserId": f"g-{number}"},
        "modelConfig": {"modelUserId": f"g-{number}"},
        "deployConfig": {"dedicatedResources": RESOURCES},
    },
    "create_endpoint": lambda _: {"parent": PARENT, "endpoint": {"displayName": "F"}},
    "get_endpoint": lambda _: {"name": f"{PARENT}/endpoints/f-one"},
    "copy_model": lambda number: {"parent": PARENT, "sourceModel": f"{PARENT}/models/f-one", "modelId": f"c-{number}"},
    "get_model": lambda _: {"name": f"{PARENT}/models/f-one"},
    "list_model_versions": lambda _: {"name": f"{PARENT}/models/f-one"},
    "list_model_version_checkpoints": lambda _: {"name": f"{PARENT}/models/f-one"},
    "recommend_spec": lambda _: {"parent": PARENT, "gcsUri": f"gs://{BUCKET}/fields/hf"},
    "get_metadata_store": lambda _: {"name": STORE},
    "query_context_lineage_subgraph": lambda _: {"context": f"{STORE}/contexts/f-one"},
    "query_execution_inputs_and_outputs": lambda _: {"execution": f"{STORE}/executions/f-one"},
    "get_custom_job": lambda _: {"name": f"{PARENT}/customJobs/1"},
    "get_training_pipeline": lambda _: {"name": f"{PARENT}/trainingPipelines/1"},
    "get_tuning_job": lambda _: {"name": f"{PARENT}/tuningJobs/1"},
}
CALLS |= dict.fromkeys(
    ["list_endpoints", "list_models", "list_tuning_jobs", "list_custom_jobs", "list_training_pipelines"]
    + ["list_tensorboards"],
    _list,
)
for _kind in ("context", "execution", "artifact"):
    CALLS |= {
        f"create_{_kind}": lambda number, kind=_kind: {"parent": STORE, kind: {}, f"{kind}Id": f"c-{number}"},
        f"get_{_kind}": lambda _, kind=_kind: {"name": f"{STORE}/{kind}s/f-one"},
        f"list_{_kind}s": lambda _: {"parent": STORE},
    }
