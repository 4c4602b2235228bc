"""Tuning jobs: what Google would refuse is refused before anything is written."""

from typing import Any, NoReturn

from google.cloud.aiplatform_v1beta1.types import (
    CancelTuningJobRequest,
    GetTuningJobRequest,
    ListTuningJobsRequest,
    ListTuningJobsResponse,
    RebaseTunedModelRequest,
    SupervisedTuningSpec,
    TuningJob,
)
from google.protobuf import empty_pb2

from jobs.localvertex.api.errors import invalid, precondition
from jobs.localvertex.api.hosts import GLOBAL, check_tuning_location
from jobs.localvertex.memory.training import Method
from jobs.localvertex.models.catalogue import CatalogueModel, Tuning
from jobs.localvertex.resources.call import Call, Route, list_page, now
from jobs.localvertex.resources.edits import check_display_name, check_labels, refuse_encryption
from jobs.localvertex.resources.keeping import keep_asked
from jobs.localvertex.resources.tuning import continuing, label_settings
from jobs.localvertex.resources.tuning.cancelling import cancel
from jobs.localvertex.resources.tuning.fitting import require_memory
from jobs.localvertex.storage.buckets import file_location, location
from jobs.localvertex.tuning import agents
from jobs.localvertex.tuning.job import ADAPTER_SIZE
from jobs.localvertex.tuning.queue import PENDING, new_id

MAX_EPOCHS = 100
OTHER_SOURCES = (
    "pre_tuned_model",
    "distillation_spec",
    "partner_model_tuning_spec",
    "veo_tuning_spec",
    "veo_lora_tuning_spec",
)
MODE: Any = SupervisedTuningSpec.TuningMode


def create_tuning_job(call: Call) -> TuningJob:
    wanted = call.resource(TuningJob)
    parts, parent = call.parts, call.path["parent"]
    model = _check(wanted, call)
    if parts.as_google:
        agents.require_region(wanted, parent, parts.buckets)
    if not wanted.supervised_tuning_spec.tuning_mode:
        wanted.supervised_tuning_spec.tuning_mode = MODE[f"TUNING_MODE_{_modes(model).modes[0]}"]
    mode = MODE(wanted.supervised_tuning_spec.tuning_mode).name.removeprefix("TUNING_MODE_")
    require_memory(parts, model, Method(mode, rank=1))
    asked = label_settings.read(wanted.labels, _modes(model).max_tokens)
    start = continuing.start_of(parts, wanted, model) if wanted.custom_base_model else {}
    engine = start.pop("engine", {}) | asked
    job = keep_asked(
        wanted,
        name=f"{parent}/tuningJobs/{new_id()}",
        tuned_model_display_name=wanted.tuned_model_display_name or f"tuned-{now():%Y%m%d%H%M%S}",
        state=PENDING,
        create_time=now(),
        update_time=now(),
    )
    with parts.store.transaction():
        note = {"max_length": _modes(model).max_tokens, "engine": engine, **start, **call.failure}
        parts.store.write_note(job.name, **note)
        parts.store.insert(job)
        parts.ledger.record("create_tuning_job", job.name, labels=dict(job.labels), base_model=job.base_model)
    parts.runner.wake()
    return job


def get_tuning_job(call: Call) -> TuningJob:
    return call.parts.store.get(TuningJob, call.request(GetTuningJobRequest).name)


def list_tuning_jobs(call: Call) -> ListTuningJobsResponse:
    request = call.request(ListTuningJobsRequest)
    found, following = list_page(request, TuningJob, call.parts.store.all(TuningJob, f"{request.parent}/tuningJobs"))
    return ListTuningJobsResponse(tuning_jobs=found, next_page_token=following)


def cancel_tuning_job(call: Call) -> empty_pb2.Empty:
    return cancel(call, TuningJob, call.parse_post(CancelTuningJobRequest).name)


def rebase_tuned_model(call: Call) -> NoReturn:
    call.parse_post(RebaseTunedModelRequest)
    message = "Only tuned Gemini models can be rebased. An open model goes on from another by custom_base_model."
    raise invalid(message, "tuned_model_ref")


def _check(job: TuningJob, call: Call) -> CatalogueModel:
    for field in OTHER_SOURCES:
        if field in job:
            message = f"{field} is not supported for open models. Set base_model and supervised_tuning_spec."
            raise invalid(message, field)
    if not job.base_model:
        raise invalid("The base_model field is required.", "base_model")
    if "supervised_tuning_spec" not in job:
        raise invalid("The supervised_tuning_spec field is required.", "supervised_tuning_spec")
    check_display_name(job.tuned_model_display_name, "tuned_model_display_name", required=False)
    check_labels(label_settings.without(job.labels))
    if job.encryption_spec.kms_key_name and call.path["parent"].endswith(GLOBAL):
        raise precondition("Encryption keys are not supported in the location global. Use a region.")
    refuse_encryption(job, "encryption_spec")
    call.parts.look_again()
    model = call.parts.catalogue.get(job.base_model)
    check_tuning_location(call.path["parent"])
    if not job.output_uri:
        raise invalid("The output_uri field is required for this model.", "output_uri")
    location(job.output_uri, "output_uri")
    weights = call.parts.weights.find(model.id)
    if model.tuning is None and weights is not None and weights.message:
        raise invalid(f"Base model {model.id} is not supported for tuning: {weights.message}", "base_model")
    _check_spec(job.supervised_tuning_spec, model)
    call.parts.weights.get(model.id, model.how_to_get)
    return model


def _check_spec(spec: SupervisedTuningSpec, model: CatalogueModel) -> None:
    if not spec.training_dataset_uri:
        field = "supervised_tuning_spec.training_dataset_uri"
        raise invalid(f"The {field} field is required.", field)
    file_location(spec.training_dataset_uri, "supervised_tuning_spec.training_dataset_uri")
    if spec.validation_dataset_uri:
        file_location(spec.validation_dataset_uri, "supervised_tuning_spec.validation_dataset_uri")
    if "evaluation_config" in spec:
        field = "supervised_tuning_spec.evaluation_config"
        raise invalid(f"{field} is not supported for this base model: leave it out.", field)
    mode = MODE(spec.tuning_mode).name.removeprefix("TUNING_MODE_")
    if spec.tuning_mode and mode not in _modes(model).modes:
        allowed = ", ".join(_modes(model).modes)
        message = f"Tuning mode {mode} is not supported for the base model {model.id}. It takes: {allowed}."
        raise invalid(message, "supervised_tuning_spec.tuning_mode")
    _check_hyper_parameters(spec, mode, model)


def _check_hyper_parameters(spec: SupervisedTuningSpec, mode: str, model: CatalogueModel) -> None:
    prefix = "supervised_tuning_spec.hyper_parameters"
    hyper = spec.hyper_parameters
    if hyper.learning_rate_multiplier:
        message = "Learning rate multiplier is not supported for this base model. Set learning_rate."
        raise invalid(message, f"{prefix}.learning_rate_multiplier")
    if hyper.adapter_size and mode == "FULL":
        raise invalid("The adapter size must not be set with full tuning.", f"{prefix}.adapter_size")
    if hyper.adapter_size and ADAPTER_SIZE[int(hyper.adapter_size)] not in _modes(model).adapter_sizes:
        raise invalid("The adapter size is not supported for this base model.", f"{prefix}.adapter_size")
    if not 0 <= hyper.epoch_count <= MAX_EPOCHS:
        raise invalid(f"epoch_count must be between 1 and {MAX_EPOCHS}.", f"{prefix}.epoch_count")
    if not 0 <= hyper.learning_rate <= 1:
        raise invalid("learning_rate must be greater than 0 and at most 1.", f"{prefix}.learning_rate")
    if not 0 <= hyper.batch_size <= 512:
        raise invalid("batch_size must be between 1 and 512.", f"{prefix}.batch_size")


def _modes(model: CatalogueModel) -> Tuning:
    if model.tuning is None:
        raise invalid(f"Base model {model.id} is not supported for tuning.", "base_model")
    return model.tuning


ROUTES = [
    Route("create_tuning_job", "POST", "{parent=projects/*/locations/*}/tuningJobs", create_tuning_job),
    Route(
        "rebase_tuned_model", "POST", "{parent=projects/*/locations/*}/tuningJobs:rebaseTunedModel", rebase_tuned_model
    ),
    Route("list_tuning_jobs", "GET", "{parent=projects/*/locations/*}/tuningJobs", list_tuning_jobs),
    Route("get_tuning_job", "GET", "{name=projects/*/locations/*/tuningJobs/*}", get_tuning_job),
    Route("cancel_tuning_job", "POST", "{name=projects/*/locations/*/tuningJobs/*}:cancel", cancel_tuning_job),
]
