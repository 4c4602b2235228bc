"""What was or will be asked of Vertex AI for a job, as its REST API writes it."""

import json
from typing import Any

from jobs.models import TuningJob
from jobs.services.remote.create_once import labels
from jobs.services.tuning.container import code
from jobs.services.tuning.container.request import dataset_uri
from jobs.services.tuning.steps import local_labels

ADAPTER_SIZES = {1: "ONE", 2: "TWO", 4: "FOUR", 8: "EIGHT", 16: "SIXTEEN", 32: "THIRTY_TWO"}


def request_json(job: TuningJob) -> str:
    return json.dumps(drop_empty(request_body(job)), indent=2, ensure_ascii=False)


def request_body(job: TuningJob) -> dict[str, Any]:
    if job.is_in_container:
        return {**code.body(job), "labels": {**job.labels, **labels(job)}}
    validation = job.validation_dataset
    size = ADAPTER_SIZES.get(job.adapter_size or 0)
    hyper_parameters = {
        "epochCount": str(job.epochs),
        "learningRate": job.learning_rate,
        "adapterSize": size and f"ADAPTER_SIZE_{size}",
        "batchSize": job.batch_size and str(job.batch_size),
    }
    return {
        "baseModel": job.base_model,
        "tunedModelDisplayName": job.display_name,
        "description": job.description,
        "outputUri": job.output_uri,
        "labels": {**job.labels, **local_labels(job), **labels(job)},
        "supervisedTuningSpec": {
            "trainingDatasetUri": dataset_uri(job.dataset),
            "validationDatasetUri": dataset_uri(validation) if validation else "",
            "tuningMode": f"TUNING_MODE_{job.tuning_mode}",
            "exportLastCheckpointOnly": job.export_last_checkpoint_only,
            "hyperParameters": drop_empty(hyper_parameters),
        },
    }


def drop_empty(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value not in (None, "", False)}
