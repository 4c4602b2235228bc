"""Custom jobs: stored as Google does; what can be run here are the containers for LoRA, Google's and this project's."""

import re

from google.cloud.aiplatform_v1beta1.types import (
    CancelCustomJobRequest,
    CustomJob,
    DeleteCustomJobRequest,
    DeleteOperationMetadata,
    GetCustomJobRequest,
    ListCustomJobsRequest,
    ListCustomJobsResponse,
    SupervisedHyperParameters,
    SupervisedTuningSpec,
    TuningJob,
)
from google.protobuf import empty_pb2

from jobs.localvertex.api.errors import ApiError, invalid, not_found, precondition
from jobs.localvertex.api.hosts import refuse_global
from jobs.localvertex.api.wire import Json, Operation, render
from jobs.localvertex.resources.call import Call, Parts, Route, generic, list_page, location_of, now
from jobs.localvertex.resources.edits import check_display_name, check_labels, refuse_encryption
from jobs.localvertex.resources.keeping import keep_asked
from jobs.localvertex.resources.tuning import continuing, peft_arguments
from jobs.localvertex.resources.tuning.cancelling import cancel
from jobs.localvertex.resources.tuning.fitting import require_memory, require_trainable
from jobs.localvertex.resources.tuning.peft_arguments import PeftTraining
from jobs.localvertex.storage.buckets import location
from jobs.localvertex.tuning import row_templates
from jobs.localvertex.tuning.job import ADAPTER_SIZE
from jobs.localvertex.tuning.queue import CANCELLED, FAILED, PENDING, SUCCEEDED, new_id

IMAGE = re.compile(r"(^|/)(pytorch-peft-train|garden-trainer)([:@]|$)")
ENDED = (SUCCEEDED, FAILED, CANCELLED)
_SIZES = {size: number for number, size in ADAPTER_SIZE.items() if number}


def create_custom_job(call: Call) -> CustomJob:
    job = start(call, call.resource(CustomJob))
    call.parts.runner.wake()
    return job


def start(call: Call, wanted: CustomJob) -> CustomJob:
    """Checked, stored and in the queue; whoever asks wakes the runner when the transaction is over."""
    parts, parent = call.parts, call.path["parent"]
    refuse_global(parent, "Custom training does not run")
    check_display_name(wanted.display_name, "custom_job.display_name")
    check_labels(dict(wanted.labels), "custom_job.labels")
    refuse_encryption(wanted, "custom_job.encryption_spec")
    parts.look_again()
    training = peft_arguments.read(parts.catalogue, _arguments(wanted), trains=not parts.instant)
    require_trainable(parts.weights.get(training.base.id, training.base.how_to_get))
    require_memory(parts, training.base, training.method)
    template = _template(parts, training)
    name = f"{parent}/customJobs/{new_id()}"
    job = keep_asked(wanted, name=name, state=PENDING, create_time=now(), update_time=now())
    outputs = {
        "adapter": training.adapter_output,
        "merged": training.merged_output,
        "metrics": training.metrics_output,
        "stats": training.stats_output,
        "resume": training.resume,
    }
    plan = _plan(job, training)
    start = continuing.start_of(parts, plan, training.base) if training.custom_base else {}
    engine = training.engine | start.pop("engine", {})
    with parts.store.transaction():
        parts.store.write_note(
            job.name,
            plan=render(plan),
            max_length=training.max_length,
            engine=engine,
            outputs=outputs,
            ignored=training.ignored,
            template=template,
            **start,
            **call.failure,
        )
        parts.store.insert(job)
        parts.ledger.record("create_custom_job", job.name, labels=dict(job.labels), base_model=training.base.id)
    return job


def get_custom_job(call: Call) -> CustomJob:
    return call.parts.store.get(CustomJob, call.request(GetCustomJobRequest).name)


def list_custom_jobs(call: Call) -> ListCustomJobsResponse:
    request = call.request(ListCustomJobsRequest)
    found, following = list_page(request, CustomJob, call.parts.store.all(CustomJob, f"{request.parent}/customJobs"))
    return ListCustomJobsResponse(custom_jobs=found, next_page_token=following)


def cancel_custom_job(call: Call) -> empty_pb2.Empty:
    return cancel(call, CustomJob, call.parse_post(CancelCustomJobRequest).name)


def delete_custom_job(call: Call) -> Operation:
    name = call.request(DeleteCustomJobRequest).name
    with call.parts.store.transaction():
        job = call.parts.store.get(CustomJob, name)
        if job.state not in ENDED:
            raise precondition(f"{name} has not ended ({job.state.name}). Cancel it first.")
        call.parts.store.delete(name)
        metadata = DeleteOperationMetadata(generic_metadata=generic())
        return call.operation(f"{location_of(name)}/operations/{new_id()}", metadata, empty_pb2.Empty())


def _arguments(job: CustomJob) -> list[str]:
    pools = job.job_spec.worker_pool_specs
    if len(pools) != 1:
        raise invalid("Exactly one worker pool is supported by this server.", "job_spec.worker_pool_specs")
    if job.job_spec.persistent_resource_id:
        raise not_found(f"The PersistentResource {job.job_spec.persistent_resource_id}")
    if "python_package_spec" in pools[0]:
        raise precondition("python_package_spec cannot be run here. Use a container_spec with pytorch-peft-train.")
    container = pools[0].container_spec
    if not IMAGE.search(container.image_uri):
        raise precondition(
            f"{container.image_uri or 'A job without container_spec.image_uri'} cannot be run here: this server runs no"
            " containers. It knows Google's pytorch-peft-train and garden-trainer by their arguments and does the same"
            " training itself."
        )
    if container.command:
        raise invalid("container_spec.command must be empty: the image's own is meant.", "job_spec.worker_pool_specs")
    return list(container.args)


def _template(parts: Parts, training: PeftTraining) -> Json:
    """What a row is to be read by; nothing for the forms that the engine knows."""
    if not training.template:
        return {}
    if training.template in row_templates.NAMED:
        return {**row_templates.NAMED[training.template], "column": training.column}
    place = location(training.template, "--train_template")
    try:
        content = parts.buckets.read(place, at_most=row_templates.LARGEST)
    except ApiError as error:
        if error.status == "UNAVAILABLE":
            raise
        raise invalid(f"The template cannot be read: {error}", "--train_template") from None
    return row_templates.read_template(content, training.column, place)


def _plan(job: CustomJob, training: PeftTraining) -> TuningJob:
    """The same training as a tuning job, which is what the runner knows."""
    hyper = SupervisedHyperParameters(
        epoch_count=training.epochs,
        learning_rate=training.learning_rate,
        adapter_size=_SIZES[training.rank],
        batch_size=training.batch_size,
    )
    spec = SupervisedTuningSpec(
        training_dataset_uri=training.train,
        validation_dataset_uri=training.validation,
        hyper_parameters=hyper,
        tuning_mode=SupervisedTuningSpec.TuningMode.TUNING_MODE_PEFT_ADAPTER,
    )
    base_output = job.job_spec.base_output_directory.output_uri_prefix
    if base_output:
        location(base_output, "job_spec.base_output_directory.output_uri_prefix")
    return TuningJob(
        name=job.name,
        base_model=training.base.id,
        tuned_model_display_name=job.display_name,
        output_uri=base_output or training.adapter_output,
        custom_base_model=training.custom_base,
        supervised_tuning_spec=spec,
    )


_NAME = "{name=projects/*/locations/*/customJobs/*}"

ROUTES = [
    Route("create_custom_job", "POST", "{parent=projects/*/locations/*}/customJobs", create_custom_job),
    Route("list_custom_jobs", "GET", "{parent=projects/*/locations/*}/customJobs", list_custom_jobs),
    Route("get_custom_job", "GET", _NAME, get_custom_job),
    Route("cancel_custom_job", "POST", f"{_NAME}:cancel", cancel_custom_job),
    Route("delete_custom_job", "DELETE", _NAME, delete_custom_job),
]
