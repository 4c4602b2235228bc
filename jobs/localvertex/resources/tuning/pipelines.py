"""Training pipelines, for custom containers only: each is a custom job, whose state it shows as its own."""

import re
from typing import Any

from google.cloud.aiplatform_v1beta1.types import (
    CancelTrainingPipelineRequest,
    CustomJob,
    DeleteOperationMetadata,
    DeleteTrainingPipelineRequest,
    GetTrainingPipelineRequest,
    ListTrainingPipelinesRequest,
    ListTrainingPipelinesResponse,
    PipelineState,
    TrainingPipeline,
)
from google.protobuf import empty_pb2

from jobs.localvertex.api.errors import invalid, precondition
from jobs.localvertex.api.wire import Operation, parse, raw, render, with_whole_numbers
from jobs.localvertex.resources.call import Call, Route, generic, list_page, location_of, now
from jobs.localvertex.resources.edits import check_display_name, check_labels, refuse_encryption
from jobs.localvertex.resources.keeping import keep_asked
from jobs.localvertex.resources.tuning import custom_jobs
from jobs.localvertex.resources.tuning.cancelling import cancel
from jobs.localvertex.tuning.queue import new_id

CUSTOM_TASK = re.compile(r"^gs://google-cloud-aiplatform/schema/trainingjob/definition/custom_task_1\.0\.0\.yaml$")
STATES: Any = PipelineState
ENDED = ("PIPELINE_STATE_SUCCEEDED", "PIPELINE_STATE_FAILED", "PIPELINE_STATE_CANCELLED")


def create_training_pipeline(call: Call) -> TrainingPipeline:
    wanted = call.resource(TrainingPipeline)
    _check(wanted)
    inputs = render(wanted).get("trainingTaskInputs")
    if not isinstance(inputs, dict):
        raise invalid("The training_task_inputs field is required.", "training_task_inputs")
    job = parse(CustomJob, {"displayName": f"{wanted.display_name}-custom-job", "jobSpec": with_whole_numbers(inputs)})
    job.labels = dict(wanted.labels)
    name = f"{call.path['parent']}/trainingPipelines/{new_id()}"
    pipeline = keep_asked(wanted, name=name, create_time=now(), update_time=now())
    with call.parts.store.transaction():
        backing = custom_jobs.start(call, job)
        pipeline.training_task_metadata = {"backingCustomJob": backing.name}
        call.parts.store.insert(pipeline)
        call.parts.ledger.record("create_training_pipeline", pipeline.name, custom_job=backing.name)
    call.parts.runner.wake()
    return _to_reply(call, pipeline)


def get_training_pipeline(call: Call) -> TrainingPipeline:
    return _to_reply(call, call.parts.store.get(TrainingPipeline, call.request(GetTrainingPipelineRequest).name))


def list_training_pipelines(call: Call) -> ListTrainingPipelinesResponse:
    request = call.request(ListTrainingPipelinesRequest)
    stored = call.parts.store.all(TrainingPipeline, f"{request.parent}/trainingPipelines")
    found, following = list_page(request, TrainingPipeline, [_to_reply(call, one) for one in stored])
    return ListTrainingPipelinesResponse(training_pipelines=found, next_page_token=following)


def cancel_training_pipeline(call: Call) -> empty_pb2.Empty:
    name = call.parse_post(CancelTrainingPipelineRequest).name
    return cancel(call, CustomJob, _backing(call.parts.store.get(TrainingPipeline, name)))


def delete_training_pipeline(call: Call) -> Operation:
    """The custom job stays, as a job of its own."""
    name = call.request(DeleteTrainingPipelineRequest).name
    with call.parts.store.transaction():
        pipeline = _to_reply(call, call.parts.store.get(TrainingPipeline, name))
        if pipeline.state.name not in ENDED:
            raise precondition(f"{name} has not ended ({pipeline.state.name}). Cancel it first.")
        call.parts.store.delete(name)
        metadata = DeleteOperationMetadata(generic_metadata=generic())
        return call.operation(f"{location_of(name)}/operations/{new_id()}", metadata, empty_pb2.Empty())


def _check(wanted: TrainingPipeline) -> None:
    check_display_name(wanted.display_name, "training_pipeline.display_name")
    check_labels(dict(wanted.labels), "training_pipeline.labels")
    refuse_encryption(wanted, "training_pipeline.encryption_spec")
    if not CUSTOM_TASK.match(wanted.training_task_definition):
        message = "Only custom containers are trained by this server: custom_task_1.0.0.yaml."
        raise invalid(message, "training_pipeline.training_task_definition")
    for field in ("model_to_upload", "input_data_config", "model_id", "parent_model"):
        if field in wanted:
            message = f"{field} is not supported by this server: leave it out, and upload the result by models:upload."
            raise invalid(message, f"training_pipeline.{field}")


def _to_reply(call: Call, pipeline: TrainingPipeline) -> TrainingPipeline:
    """With the state of its custom job. When that was deleted, it had ended: nothing more is known of it."""
    job = call.parts.store.find(CustomJob, _backing(pipeline))
    if job is None:
        pipeline.state = STATES.PIPELINE_STATE_UNSPECIFIED
        return pipeline
    pipeline.state = STATES[job.state.name.replace("JOB_STATE", "PIPELINE_STATE")]
    for field in ("start_time", "end_time", "update_time", "error"):
        if field in job:
            getattr(raw(pipeline), field).CopyFrom(getattr(raw(job), field))
    return pipeline


def _backing(pipeline: TrainingPipeline) -> str:
    return str(render(pipeline)["trainingTaskMetadata"]["backingCustomJob"])


_NAME = "{name=projects/*/locations/*/trainingPipelines/*}"
_PARENT = "{parent=projects/*/locations/*}/trainingPipelines"

ROUTES = [
    Route("create_training_pipeline", "POST", _PARENT, create_training_pipeline),
    Route("list_training_pipelines", "GET", _PARENT, list_training_pipelines),
    Route("get_training_pipeline", "GET", _NAME, get_training_pipeline),
    Route("cancel_training_pipeline", "POST", f"{_NAME}:cancel", cancel_training_pipeline),
    Route("delete_training_pipeline", "DELETE", _NAME, delete_training_pipeline),
]
