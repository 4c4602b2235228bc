"""The same tuning job for other hands: Python with Google's SDK, the REST call, and its body."""

import json
from typing import Any

from django.conf import settings

from jobs.models import TuningJob, TuningMode
from jobs.text.numbers import plain
from jobs.vertex.port import ADAPTER_SIZES

from .container import code as container
from .container.request import dataset_uri
from .spec import TuningSpec
from .steps import local_labels

RATE = "@learning-rate@"


def body(job: TuningJob | TuningSpec) -> dict[str, Any]:
    """What the console sends, but for its own labels: by those it would take the job for one of its own."""
    if job.training_machine:
        return container.body(job)
    tuning: dict[str, Any] = {"trainingDatasetUri": dataset_uri(job.dataset)}
    if job.validation_dataset:
        tuning["validationDatasetUri"] = dataset_uri(job.validation_dataset)
    tuning["tuningMode"] = f"TUNING_MODE_{job.tuning_mode}"
    tuning["hyperParameters"] = _hyper_parameters(job)
    if job.export_last_checkpoint_only:
        tuning["exportLastCheckpointOnly"] = True
    optional = {
        "customBaseModel": job.custom_base_model,
        "description": job.description,
        "labels": {**job.labels, **local_labels(job)},
    }
    return {
        "baseModel": job.base_model,
        "tunedModelDisplayName": job.display_name,
        "outputUri": job.output_uri,
        **{name: value for name, value in optional.items() if value},
        "supervisedTuningSpec": tuning,
    }


def _hyper_parameters(job: TuningJob | TuningSpec) -> dict[str, Any]:
    found: dict[str, Any] = {"epochCount": str(job.epochs), "learningRate": job.learning_rate}
    if job.adapter_size and job.tuning_mode == TuningMode.PEFT_ADAPTER:
        found["adapterSize"] = _adapter_size(job.adapter_size)
    if job.batch_size:
        found["batchSize"] = str(job.batch_size)
    return found


def body_json(job: TuningJob | TuningSpec) -> str:
    """With the learning rate as a plain decimal: 2e-05 was seen to make the service answer with an error."""
    content = body(job)
    if job.training_machine:
        return json.dumps(content, indent=2, ensure_ascii=False)
    content["supervisedTuningSpec"]["hyperParameters"]["learningRate"] = RATE
    return json.dumps(content, indent=2, ensure_ascii=False).replace(f'"{RATE}"', plain(job.learning_rate))


def curl(job: TuningJob | TuningSpec) -> str:
    place = f"projects/{settings.VERTEX_PROJECT}/locations/{_location(job)}"
    kind = "customJobs" if job.training_machine else "tuningJobs"
    token = (
        [] if settings.VERTEX_API_ENDPOINT else ['  -H "Authorization: Bearer $(gcloud auth print-access-token)" \\']
    )
    return "\n".join([
        f'curl -X POST "{_address(_location(job))}/v1beta1/{place}/{kind}" \\',
        *([] if settings.VERTEX_API_ENDPOINT else token),
        '  -H "Content-Type: application/json" \\',
        "  --data-binary @- <<'END_OF_JOB'",
        body_json(job),
        "END_OF_JOB",
    ])  # fmt: skip


def python(job: TuningJob | TuningSpec) -> str:
    if job.training_machine:
        return container.python(job, _location(job))
    lines = [
        *(["from google.oauth2.credentials import Credentials"] if settings.VERTEX_API_ENDPOINT else []),
        "from google import genai",
        "from google.genai import types",
        "",
        "client = genai.Client(",
        "    vertexai=True,",
        f"    project={settings.VERTEX_PROJECT!r},",
        f"    location={_location(job)!r},",
        *_connection(),
        ")",
        "job = client.tunings.tune(",
        f"    base_model={job.base_model!r},",
        f"    training_dataset=types.TuningDataset(gcs_uri={dataset_uri(job.dataset)!r}),",
        "    config=types.CreateTuningJobConfig(",
        *(f"        {name}={value}," for name, value in _config(job).items()),
        "    ),",
        ")",
        "print(job.name)",
    ]
    return "\n".join(lines) + "\n"


def _connection() -> list[str]:
    """On Google the library finds the address and the credentials by itself."""
    if not settings.VERTEX_API_ENDPOINT:
        return ['    http_options=types.HttpOptions(api_version="v1beta1"),']
    return [
        '    credentials=Credentials(token="local"),',
        f'    http_options=types.HttpOptions(api_version="v1beta1", base_url={settings.VERTEX_API_ENDPOINT!r}),',
    ]


def _config(job: TuningJob | TuningSpec) -> dict[str, str]:
    """Arguments of `CreateTuningJobConfig` as they are written in Python."""
    validation, found_labels = job.validation_dataset, {**job.labels, **local_labels(job)}
    found: dict[str, Any] = {
        "tuned_model_display_name": repr(job.display_name),
        "description": job.description and repr(job.description),
        "labels": found_labels and repr(found_labels),
        "output_uri": repr(job.output_uri),
        "custom_base_model": job.custom_base_model and repr(job.custom_base_model),
        "validation_dataset": validation and f"types.TuningValidationDataset(gcs_uri={dataset_uri(validation)!r})",
        "epoch_count": str(job.epochs),
        "learning_rate": plain(job.learning_rate),
        "tuning_mode": repr(f"TUNING_MODE_{job.tuning_mode}"),
        "adapter_size": _adapter_size_literal(job),
        "batch_size": job.batch_size and str(job.batch_size),
        "export_last_checkpoint_only": "True" if job.export_last_checkpoint_only else "",
    }
    return {name: value for name, value in found.items() if value}


def _adapter_size_literal(job: TuningJob | TuningSpec) -> str:
    is_lora = job.tuning_mode == TuningMode.PEFT_ADAPTER and job.adapter_size
    return repr(_adapter_size(job.adapter_size)) if is_lora and job.adapter_size else ""


def _adapter_size(rank: int) -> str:
    return f"ADAPTER_SIZE_{ADAPTER_SIZES[rank]}"


def _location(job: TuningJob | TuningSpec) -> str:
    return job.location or settings.VERTEX_LOCATION


def _address(location: str) -> str:
    if settings.VERTEX_API_ENDPOINT:
        return str(settings.VERTEX_API_ENDPOINT)
    return f"https://{'' if location == 'global' else f'{location}-'}aiplatform.googleapis.com"
