"""Requests that work, of boards that clients make, pools, batches, evaluations, and of what there never is here."""

from typing import Any

from tests.jobs.localvertex.servers import BUCKET, PARENT, TINY_NAME

Body = dict[str, Any]
POOL = {"dedicatedResources": {"machineSpec": {"machineType": "n1-standard-2"}, "minReplicaCount": 1}}
BATCH = {
    "displayName": "F",
    "model": TINY_NAME,
    "inputConfig": {"instancesFormat": "jsonl", "gcsSource": {"uris": [f"gs://{BUCKET}/fields/train.jsonl"]}},
    "outputConfig": {"predictionsFormat": "jsonl", "gcsDestination": {"outputUriPrefix": f"gs://{BUCKET}/fields/out"}},
}
CONTENTS = [{"role": "user", "parts": [{"text": "hi"}]}]
STUDY = {
    "metrics": [{"metricId": "m", "goal": "MAXIMIZE"}],
    "parameters": [{"parameterId": "p", "doubleValueSpec": {"minValue": 0, "maxValue": 1}}],
}
TRIAL = {"workerPoolSpecs": [{"containerSpec": {"imageUri": "x"}, "replicaCount": 1}]}
HYPER = {"displayName": "F", "studySpec": STUDY, "maxTrialCount": 1, "parallelTrialCount": 1, "trialJobSpec": TRIAL}
RESOURCE = {"resourcePools": [{"machineSpec": {"machineType": "n1-standard-4"}, "replicaCount": 1}]}
NONE, CACHE = f"{PARENT}/hyperparameterTuningJobs/1", f"{PARENT}/cachedContents/1"
HELD = f"{PARENT}/persistentResources/none"


class LaterSeeds:
    """By the name of the call. `post` and `finish` are those of the world."""

    post: Any
    finish: Any

    def make_board(self) -> str:
        return str(self.finish(self.post(f"{PARENT}/tensorboards", {"displayName": "F"})["name"])["response"]["name"])

    def make_experiment(self, number: str) -> str:
        return str(self.post(f"{self.make_board()}/experiments?tensorboardExperimentId={number}", {})["name"])

    def make_run(self, number: str) -> str:
        parent = self.make_experiment(number)
        return str(self.post(f"{parent}/runs?tensorboardRunId=r", {"displayName": "r"})["name"])

    def make_series(self, number: str) -> str:
        made = {"displayName": "s", "valueType": "SCALAR"}
        return str(self.post(f"{self.make_run(number)}/timeSeries?tensorboardTimeSeriesId=s", made)["name"])

    def create_tensorboard(self, _: str) -> Body:
        return {"parent": PARENT, "tensorboard": {"displayName": "F"}}

    def update_tensorboard(self, _: str) -> Body:
        return {"tensorboard": {"name": self.make_board(), "description": "d"}, "updateMask": "description"}

    def delete_tensorboard(self, _: str) -> Body:
        return {"name": self.make_board()}

    def create_tensorboard_experiment(self, _: str) -> Body:
        return {"parent": self.make_board(), "tensorboardExperimentId": "e", "tensorboardExperiment": {}}

    def update_tensorboard_experiment(self, number: str) -> Body:
        named = {"name": self.make_experiment(number), "description": "d"}
        return {"tensorboardExperiment": named, "updateMask": "description"}

    def delete_tensorboard_experiment(self, number: str) -> Body:
        return {"name": self.make_experiment(number)}

    def create_tensorboard_run(self, number: str) -> Body:
        parent = self.make_experiment(number)
        return {"parent": parent, "tensorboardRunId": "r", "tensorboardRun": {"displayName": "r"}}

    def update_tensorboard_run(self, number: str) -> Body:
        return {"tensorboardRun": {"name": self.make_run(number), "description": "d"}, "updateMask": "description"}

    def delete_tensorboard_run(self, number: str) -> Body:
        return {"name": self.make_run(number)}

    def batch_create_tensorboard_runs(self, number: str) -> Body:
        one = {"tensorboardRunId": "r", "tensorboardRun": {"displayName": "r"}}
        parent = self.make_experiment(number)
        return {"parent": parent, "requests": [one | {"parent": parent}]}

    def create_tensorboard_time_series(self, number: str) -> Body:
        made = {"displayName": "s", "valueType": "SCALAR"}
        return {"parent": self.make_run(number), "tensorboardTimeSeriesId": "s", "tensorboardTimeSeries": made}

    def update_tensorboard_time_series(self, number: str) -> Body:
        named = {"name": self.make_series(number), "description": "d"}
        return {"tensorboardTimeSeries": named, "updateMask": "description"}

    def delete_tensorboard_time_series(self, number: str) -> Body:
        return {"name": self.make_series(number)}

    def batch_create_tensorboard_time_series(self, number: str) -> Body:
        run = self.make_run(number)
        one = {"parent": run, "tensorboardTimeSeries": {"displayName": "s", "valueType": "SCALAR"}}
        return {"parent": run.rpartition("/runs/")[0], "requests": [one]}

    def write_tensorboard_run_data(self, number: str) -> Body:
        run = self.make_series(number).rpartition("/timeSeries/")[0]
        values = [{"step": 1, "scalar": {"value": 0.5}}]
        return {"tensorboardRun": run, "timeSeriesData": [{"tensorboardTimeSeriesId": "s", "values": values}]}

    def write_tensorboard_experiment_data(self, number: str) -> Body:
        one = self.write_tensorboard_run_data(number)
        return {
            "tensorboardExperiment": one["tensorboardRun"].rpartition("/runs/")[0],
            "writeRunDataRequests": [one],
        }

    def read_tensorboard_size(self, _: str) -> Body:
        return {"tensorboard": self.make_board()}

    def read_tensorboard_usage(self, _: str) -> Body:
        return {"tensorboard": self.make_board()}

    def make_pool(self, number: str) -> str:
        body = {"deploymentResourcePoolId": f"p-{number}", "deploymentResourcePool": POOL}
        self.post(f"{PARENT}/deploymentResourcePools", body)
        return f"{PARENT}/deploymentResourcePools/p-{number}"

    def create_deployment_resource_pool(self, number: str) -> Body:
        return {"parent": PARENT, "deploymentResourcePoolId": f"q-{number}", "deploymentResourcePool": POOL}

    def get_deployment_resource_pool(self, number: str) -> Body:
        return {"name": self.make_pool(number)}

    def delete_deployment_resource_pool(self, number: str) -> Body:
        return {"name": self.make_pool(number)}

    def update_deployment_resource_pool(self, number: str) -> Body:
        return {
            "deploymentResourcePool": {"name": self.make_pool(number), **POOL},
            "updateMask": "dedicatedResources.minReplicaCount",
        }

    def query_deployed_models(self, number: str) -> Body:
        return {"deploymentResourcePool": self.make_pool(number)}

    def list_deployment_resource_pools(self, _: str) -> Body:
        return {"parent": PARENT}

    def make_batch(self) -> str:
        name = str(self.post(f"{PARENT}/batchPredictionJobs", BATCH)["name"])
        self.post(f"{name}:cancel")
        return name

    def create_batch_prediction_job(self, _: str) -> Body:
        return {"parent": PARENT, "batchPredictionJob": BATCH}

    def get_batch_prediction_job(self, _: str) -> Body:
        return {"name": f"{PARENT}/batchPredictionJobs/1"}

    def list_batch_prediction_jobs(self, _: str) -> Body:
        return {"parent": PARENT}

    def cancel_batch_prediction_job(self, _: str) -> Body:
        return {"name": self.make_batch()}

    def delete_batch_prediction_job(self, _: str) -> Body:
        return {"name": f"{PARENT}/batchPredictionJobs/1"}

    def evaluate_instances(self, _: str) -> Body:
        instances = [{"prediction": "a", "reference": "a"}]
        return {"location": PARENT, "exactMatchInput": {"metricSpec": {}, "instances": instances}}

    def export_publisher_model(self, number: str) -> Body:
        place = {"outputUriPrefix": f"gs://{BUCKET}/fields/exported-{number}"}
        return {"parent": PARENT, "name": TINY_NAME, "destination": place}

    def count_tokens(self, _: str) -> Body:
        return {"endpoint": f"{PARENT}/endpoints/fields", "contents": CONTENTS}

    def compute_tokens(self, _: str) -> Body:
        return {"endpoint": f"{PARENT}/endpoints/fields", "contents": CONTENTS}

    def direct_predict(self, _: str) -> Body:
        return {"endpoint": f"{PARENT}/endpoints/fields"}

    def direct_raw_predict(self, _: str) -> Body:
        return {"endpoint": f"{PARENT}/endpoints/fields"}

    def explain(self, _: str) -> Body:
        return {"endpoint": f"{PARENT}/endpoints/fields", "instances": [{"prompt": "hi"}]}

    def create_cached_content(self, _: str) -> Body:
        return {"parent": PARENT, "cachedContent": {"model": TINY_NAME, "contents": CONTENTS, "ttl": "60s"}}

    def get_cached_content(self, _: str) -> Body:
        return {"name": CACHE}

    def delete_cached_content(self, _: str) -> Body:
        return {"name": CACHE}

    def update_cached_content(self, _: str) -> Body:
        return {"cachedContent": {"name": CACHE, "ttl": "60s"}, "updateMask": "ttl"}

    def list_cached_contents(self, _: str) -> Body:
        return {"parent": PARENT}

    def create_hyperparameter_tuning_job(self, _: str) -> Body:
        return {"parent": PARENT, "hyperparameterTuningJob": HYPER}

    def get_hyperparameter_tuning_job(self, _: str) -> Body:
        return {"name": NONE}

    def cancel_hyperparameter_tuning_job(self, _: str) -> Body:
        return {"name": NONE}

    def delete_hyperparameter_tuning_job(self, _: str) -> Body:
        return {"name": NONE}

    def list_hyperparameter_tuning_jobs(self, _: str) -> Body:
        return {"parent": PARENT}

    def create_persistent_resource(self, number: str) -> Body:
        return {"parent": PARENT, "persistentResourceId": f"r-{number}", "persistentResource": RESOURCE}

    def get_persistent_resource(self, _: str) -> Body:
        return {"name": HELD}

    def update_persistent_resource(self, _: str) -> Body:
        return {"persistentResource": {"name": HELD, "labels": {"a": "b"}}, "updateMask": "labels"}

    def delete_persistent_resource(self, _: str) -> Body:
        return {"name": HELD}

    def reboot_persistent_resource(self, _: str) -> Body:
        return {"name": HELD}

    def list_persistent_resources(self, _: str) -> Body:
        return {"parent": PARENT}
