from collections.abc import Iterable
from datetime import UTC, datetime
from functools import partial
from typing import Any

from django.conf import settings
from google.cloud.aiplatform_v1beta1 import types
from google.protobuf.json_format import MessageToDict

from jobs.text.deferred import gettext as _
from jobs.vertex.errors import NotAuthorised, OutcomeUnknown, Refused
from jobs.vertex.moments import drop_impossible
from jobs.vertex.port import ADAPTER_SIZES
from jobs.vertex.values import Checkpoint, RemoteTuningJob, TuningJobSpec

from . import clients
from .messages import job_state, raw, remote_error

SERVICE = "gen_ai_tuning_service"
RUNNING = frozenset({"QUEUED", "PENDING", "RUNNING"})


class Tuning:
    """`_filters`: by location, whether a filter by label was seen to find what it asks for (True), or was refused. That
    tuning jobs take one is not documented: what a filter that was never seen to work does not find may be there."""

    def __init__(self) -> None:
        self._filters: dict[tuple[str, str], bool] = {}

    def create(self, spec: TuningJobSpec) -> RemoteTuningJob:
        bucket = spec.output_uri.removeprefix("gs://").partition("/")[0]
        make = partial(_request, spec)
        job = clients.create(SERVICE, "create_tuning_job", make, bucket=bucket, location=spec.location)
        if not job.name:
            raise OutcomeUnknown(_("Vertex AI returned no tuning job name."), "UNKNOWN")
        return _job(job)

    def get(self, name: str) -> RemoteTuningJob:
        client = clients.client(SERVICE, clients.location_of(name))
        return _job(clients.ask(client.get_tuning_job, types.GetTuningJobRequest(name=name)))

    def find(
        self, label: str, value: str, locations: Iterable[str] = (), *, is_thorough: bool = False
    ) -> list[RemoteTuningJob]:
        regions = dict.fromkeys([settings.VERTEX_LOCATION, *locations])
        found: list[RemoteTuningJob] = []
        for place in dict.fromkeys([*regions, "global"]):
            told = None if is_thorough else self._list_filtered(place, label, value)
            read = self._list_labelled if place in regions else self._list_labelled_globally
            found += read(place, label, value) if told is None else told
        return sorted(_each_once(found), key=creation_time)

    def count_running(self, location: str = "") -> int:
        locations = dict.fromkeys([location or settings.VERTEX_LOCATION, "global"])
        jobs = [job for location in locations for job in _all_of(location)]
        return len({job.name.rsplit("/", 1)[-1] for job in jobs if _job(job).state in RUNNING})

    def cancel(self, name: str) -> None:
        client = clients.client(SERVICE, clients.location_of(name))
        clients.ask(client.cancel_tuning_job, types.CancelTuningJobRequest(name=name))

    def _list_filtered(self, location: str, label: str, value: str) -> list[RemoteTuningJob] | None:
        """None: the whole list has to be read. A later page that is refused is no refusal of the filter, but reading
        all of it instead does no harm."""
        place = clients.address(location), location
        if self._filters.get(place) is False:
            return None
        try:
            found = _with_label(clients.whole(_first_page(location, f'labels.{label}="{value}"')), label, value)
        except NotAuthorised:
            raise
        except Refused:
            self._filters[place] = False
            return None
        if found:
            self._filters[place] = True
        return found if self._filters.get(place) else None

    def _list_labelled(self, location: str, label: str, value: str) -> list[RemoteTuningJob]:
        return _with_label(clients.whole(_first_page(location)), label, value)

    def _list_labelled_globally(self, location: str, label: str, value: str) -> list[RemoteTuningJob]:
        """A service that knows no `global` location refuses to list it, and cannot hold a job there. One that refuses
        a later page knows it."""
        return _with_label(_all_of(location), label, value)


def _all_of(location: str) -> list[Any]:
    try:
        pages = _first_page(location)
    except NotAuthorised:
        raise
    except Refused:
        if location != "global":
            raise
        return []
    return clients.whole(pages)


def _first_page(location: str, wanted: str = "") -> Any:
    request = types.ListTuningJobsRequest(parent=clients.parent(location), page_size=settings.VERTEX_PAGE_SIZE)
    if wanted:
        request.filter = wanted
    return clients.ask(clients.client(SERVICE, location).list_tuning_jobs, request)


def _with_label(jobs: Iterable[Any], label: str, value: str) -> list[RemoteTuningJob]:
    """Looks here, too: a server may have left the filter out."""
    return [_job(job) for job in jobs if job.labels.get(label) == value]


def _request(spec: TuningJobSpec) -> Any:
    return types.CreateTuningJobRequest(parent=clients.parent(spec.location), tuning_job=_message(spec))


def _message(spec: TuningJobSpec) -> Any:
    """The learning rate goes out as JSON writes it, such as 2e-05."""
    parameters: dict[str, Any] = {"epoch_count": spec.epochs, "learning_rate": spec.learning_rate}
    if spec.adapter_size is not None:
        parameters["adapter_size"] = _adapter_size(spec.adapter_size)
    if spec.batch_size is not None:
        parameters["batch_size"] = spec.batch_size
    tuning = types.SupervisedTuningSpec(
        training_dataset_uri=spec.training_dataset_uri,
        validation_dataset_uri=spec.validation_dataset_uri,
        hyper_parameters=types.SupervisedHyperParameters(**parameters),
        tuning_mode=f"TUNING_MODE_{spec.tuning_mode}",
        export_last_checkpoint_only=spec.export_last_checkpoint_only,
    )
    return types.TuningJob(
        base_model=spec.base_model,
        tuned_model_display_name=spec.display_name,
        description=spec.description,
        labels=dict(spec.labels),
        output_uri=spec.output_uri,
        custom_base_model=spec.custom_base_model,
        supervised_tuning_spec=tuning,
    )


def _adapter_size(rank: int) -> str:
    if rank not in ADAPTER_SIZES:
        raise Refused(_("The adapter size must be one of %s.") % ", ".join(map(str, ADAPTER_SIZES)), "INVALID_ARGUMENT")
    return f"ADAPTER_SIZE_{ADAPTER_SIZES[rank]}"


def _job(job: Any) -> RemoteTuningJob:
    stats = raw(job).tuning_data_stats.supervised_tuning_data_stats
    return RemoteTuningJob(
        name=job.name,
        state=job_state(job),
        labels=dict(job.labels),
        display_name=job.tuned_model_display_name,
        create_time=drop_impossible(job.create_time),
        start_time=drop_impossible(job.start_time),
        end_time=drop_impossible(job.end_time),
        error=remote_error(job.error),
        experiment=job.experiment,
        tuned_model=job.tuned_model.model,
        checkpoints=tuple(_checkpoint(found) for found in job.tuned_model.checkpoints),
        total_steps=stats.tuning_step_count or None,
        data_stats=MessageToDict(stats),
    )


def _checkpoint(found: Any) -> Checkpoint:
    return Checkpoint(found.checkpoint_id, found.epoch, found.step)


def _each_once(jobs: Iterable[RemoteTuningJob]) -> list[RemoteTuningJob]:
    """A job made through `global` is listed in its region, too; nothing but the location in its name differs."""
    kept: dict[str, RemoteTuningJob] = {}
    for job in jobs:
        kept.setdefault(job.name.rsplit("/", 1)[-1], job)
    return list(kept.values())


def creation_time(job: RemoteTuningJob) -> datetime:
    return job.create_time or datetime.max.replace(tzinfo=UTC)
