"""Batch prediction jobs: what can be asked for, and their states. The work is `jobs.localvertex.batch`'s."""

import re

from google.cloud.aiplatform_v1beta1.types import (
    BatchPredictionJob,
    CancelBatchPredictionJobRequest,
    DeleteBatchPredictionJobRequest,
    DeleteOperationMetadata,
    Endpoint,
    GetBatchPredictionJobRequest,
    ListBatchPredictionJobsRequest,
    ListBatchPredictionJobsResponse,
)
from google.protobuf import empty_pb2

from jobs.localvertex.api.errors import invalid, precondition
from jobs.localvertex.api.wire import Json, Operation, raw, render, with_whole_numbers
from jobs.localvertex.models import licences, registry
from jobs.localvertex.models.machines import check_machine
from jobs.localvertex.resources import artifacts
from jobs.localvertex.resources.call import Call, Route, generic, list_page, location_of, now
from jobs.localvertex.resources.edits import check_display_name, check_labels, refuse_encryption
from jobs.localvertex.resources.tuning.cancelling import cancel
from jobs.localvertex.resources.tuning.custom_jobs import ENDED
from jobs.localvertex.storage.buckets import file_location, location
from jobs.localvertex.tuning.queue import PENDING, new_id

JSONL = "jsonl"
_MODEL = re.compile(r"^projects/[^/]+/locations/[^/]+/models/[^/@]+(@[^/@]+)?$")
_PUBLISHER = re.compile(r"^(?:projects/[^/]+/locations/[^/]+/)?publishers/(?P<name>[^/]+/models/[^/]+)$")
_ENDPOINT = re.compile(r"^projects/[^/]+/locations/[^/]+/endpoints/[^/]+$")
STORED = (
    "display_name", "model", "endpoint", "input_config", "instance_config", "model_parameters", "output_config",
    "dedicated_resources", "service_account", "manual_batch_tuning_parameters", "labels", "disable_container_logging",
)  # fmt: skip
REFUSED = (
    "unmanaged_container_model", "generate_explanation", "explanation_spec", "model_monitoring_config",
    "model_monitoring_stats_anomalies",
)  # fmt: skip


def create_batch_prediction_job(call: Call) -> BatchPredictionJob:
    wanted = call.resource(BatchPredictionJob)
    parts, parent = call.parts, call.path["parent"]
    _check(wanted)
    plan = _plan(call, wanted, parent)
    job = BatchPredictionJob(wanted)
    for field, _ in raw(wanted).ListFields():
        if field.name not in STORED:
            raw(job).ClearField(field.name)
    job.name, job.state = f"{parent}/batchPredictionJobs/{new_id()}", PENDING
    job.create_time = job.update_time = now()
    job.model_version_id = plan.pop("version", "")
    plan["folder"] = f"prediction-{plan.pop('label')}-{job.create_time:%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z"
    with parts.store.transaction():
        parts.store.write_note(job.name, **plan)
        parts.store.insert(job)
        parts.ledger.record("create_batch_prediction_job", job.name, labels=dict(job.labels), model=plan["served"])
    parts.batches.wake()
    return job


def get_batch_prediction_job(call: Call) -> BatchPredictionJob:
    return call.parts.store.get(BatchPredictionJob, call.request(GetBatchPredictionJobRequest).name)


def list_batch_prediction_jobs(call: Call) -> ListBatchPredictionJobsResponse:
    request = call.request(ListBatchPredictionJobsRequest)
    stored = call.parts.store.all(BatchPredictionJob, f"{request.parent}/batchPredictionJobs")
    found, following = list_page(request, BatchPredictionJob, stored)
    return ListBatchPredictionJobsResponse(batch_prediction_jobs=found, next_page_token=following)


def cancel_batch_prediction_job(call: Call) -> empty_pb2.Empty:
    name = call.parse_post(CancelBatchPredictionJobRequest).name
    return cancel(call, BatchPredictionJob, name, call.parts.batches.cancel)


def delete_batch_prediction_job(call: Call) -> Operation:
    """What it has written stays in the bucket."""
    name = call.request(DeleteBatchPredictionJobRequest).name
    with call.parts.store.transaction():
        job = call.parts.store.get(BatchPredictionJob, name)
        if job.state not in ENDED:
            raise precondition(f"{name} has not ended ({job.state.name}). Cancel it first.")
        call.parts.store.delete(name)
        metadata = DeleteOperationMetadata(generic_metadata=generic())
        return call.operation(f"{location_of(name)}/operations/{new_id()}", metadata, empty_pb2.Empty())


def _check(wanted: BatchPredictionJob) -> None:
    check_display_name(wanted.display_name, "batch_prediction_job.display_name")
    check_labels(dict(wanted.labels), "batch_prediction_job.labels")
    refuse_encryption(wanted, "batch_prediction_job.encryption_spec")
    for field in REFUSED:
        if field in raw(wanted).DESCRIPTOR.fields_by_name and field in wanted:
            raise invalid(f"{field} is not supported by this server. Leave it out.", f"batch_prediction_job.{field}")
    check_machine(wanted.dedicated_resources.machine_spec, "batch_prediction_job.dedicated_resources.machine_spec")
    if wanted.instance_config.instance_type not in ("", "object"):
        message = "instance_type must be object, or be left out: rows for these models are objects."
        raise invalid(message, "batch_prediction_job.instance_config.instance_type")
    _check_input(wanted.input_config)
    _check_output(wanted.output_config)


def _check_input(config: BatchPredictionJob.InputConfig) -> None:
    field = "batch_prediction_job.input_config"
    if config.instances_format != JSONL:
        message = f"instances_format {config.instances_format!r} is not supported for this model. Supported: jsonl."
        raise invalid(message, f"{field}.instances_format")
    if raw(config).WhichOneof("source") != "gcs_source" or not config.gcs_source.uris:
        raise invalid("input_config.gcs_source.uris is required.", f"{field}.gcs_source.uris")
    for uri in config.gcs_source.uris:
        file_location(uri, f"{field}.gcs_source.uris")


def _check_output(config: BatchPredictionJob.OutputConfig) -> None:
    field = "batch_prediction_job.output_config"
    if config.predictions_format != JSONL:
        message = f"predictions_format {config.predictions_format!r} is not supported for this model. Supported: jsonl."
        raise invalid(message, f"{field}.predictions_format")
    if raw(config).WhichOneof("destination") != "gcs_destination":
        raise invalid("output_config.gcs_destination is required.", f"{field}.gcs_destination")
    location(config.gcs_destination.output_uri_prefix, f"{field}.gcs_destination.output_uri_prefix")


def _plan(call: Call, wanted: BatchPredictionJob, parent: str) -> Json:
    """What is remembered: which model, and where the output goes."""
    if bool(wanted.model) == bool(wanted.endpoint):
        raise invalid("Exactly one of model and endpoint must be set.", "batch_prediction_job.model")
    if wanted.endpoint:
        found = _endpoint_plan(call, wanted.endpoint, parent)
    else:
        found = _model_plan(call, wanted.model, parent)
    parameters = with_whole_numbers(render(wanted).get("modelParameters") or {})
    if not isinstance(parameters, dict):
        raise invalid("model_parameters must be an object.", "batch_prediction_job.model_parameters")
    output = str(location(wanted.output_config.gcs_destination.output_uri_prefix, "output_config"))
    return {**found, "parameters": parameters, "output": output}


def _endpoint_plan(call: Call, name: str, parent: str) -> Json:
    if not _ENDPOINT.match(name) or location_of(name) != parent:
        raise invalid(f"{name!r} is not the name of an endpoint in {parent}.", "batch_prediction_job.endpoint")
    call.parts.store.get(Endpoint, name)
    return {"kind": "endpoint", "served": name, "label": "endpoint"}


def _model_plan(call: Call, name: str, parent: str) -> Json:
    if named := _PUBLISHER.match(name):
        return _publisher_plan(call, named["name"].replace("/models/", "/", 1), parent)
    if not _MODEL.match(name):
        message = f"{name!r} is not the name of a model: projects/PROJECT/locations/LOCATION/models/MODEL."
        raise invalid(message, "batch_prediction_job.model")
    if location_of(name) != parent:
        raise invalid(f"{name} is not in {parent}. Copy it there first.", "batch_prediction_job.model")
    parts = call.parts
    model = registry.find(parts.store, name)
    artifact = artifacts.of_model(parts, model)
    artifacts.require(parts, artifact, parent.split("/")[1])
    parts.deployments.require_room(artifact.base_id, "")
    return {
        "kind": "model",
        "served": f"{model.name.partition('@')[0]}@{model.version_id}",
        "version": model.version_id,
        "label": re.sub(r"[^\w.-]+", "_", model.display_name) or "model",
        "base": artifact.base_id,
        "form": artifact.form,
        "gcs_uri": str(artifact.source or ""),
        "adapter": artifact.adapter,
    }


def _publisher_plan(call: Call, name: str, parent: str) -> Json:
    parts = call.parts
    model = parts.targets.require_known(parent, name)
    licences.require(parts.store, parent.split("/")[1], model, as_google=parts.as_google)
    weights = parts.weights.get(model.id, model.how_to_get)
    if not weights.can_serve:
        raise precondition(f"{model.id} cannot be deployed: {weights.message}")
    parts.deployments.require_room(model.id, "")
    publisher, _, short = model.id.partition("/")
    return {
        "kind": "publisher",
        "served": f"{parent}/publishers/{publisher}/models/{short}",
        "base": model.id,
        "label": "model",
    }


_NAME = "{name=projects/*/locations/*/batchPredictionJobs/*}"
_PARENT = "{parent=projects/*/locations/*}/batchPredictionJobs"

ROUTES = [
    Route("create_batch_prediction_job", "POST", _PARENT, create_batch_prediction_job),
    Route("list_batch_prediction_jobs", "GET", _PARENT, list_batch_prediction_jobs),
    Route("get_batch_prediction_job", "GET", _NAME, get_batch_prediction_job),
    Route("cancel_batch_prediction_job", "POST", f"{_NAME}:cancel", cancel_batch_prediction_job),
    Route("delete_batch_prediction_job", "DELETE", _NAME, delete_batch_prediction_job),
]
