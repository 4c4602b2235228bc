"""One step of a tuning job: what comes next follows from the row alone, so a crash anywhere resumes."""

import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from django.conf import settings

from jobs.files import store
from jobs.models import Dataset, EventLevel, TuningJob
from jobs.models.runs.settings import ADVANCED
from jobs.services.catalogue import regions
from jobs.services.datasets import references
from jobs.services.datasets.cloud import source
from jobs.services.datasets.file import why_gone
from jobs.services.datasets.images import sending
from jobs.services.remote.create_once import Binding, Foreign, Submission, is_ours, labels
from jobs.services.remote.row_claim import NOW, Claim, Event, Outcome, poll_seconds
from jobs.states import UNSENT, UNSURE, Phase, TuningState
from jobs.text.deferred import gettext as _, ngettext
from jobs.vertex import get_gateway
from jobs.vertex.errors import NotAuthorised, NotFound, Refused
from jobs.vertex.local_settings import as_labels
from jobs.vertex.values import RemoteTuningJob, TuningJobSpec

from . import observe, orphaned_jobs, queue, removal
from .container import request
from .container.request import copy_uri, dataset_uri
from .spec import TuningSpec

CANCEL_AGAIN = timedelta(seconds=60)
# Of a lease, for the images of a dataset.
SENDING = timedelta(seconds=30)
# In polls: how long a job far back in the queue leaves alone the question whether it is its turn.
LONGEST_WAIT = 15
# So long the data and the folder are taken to be as they were when they were looked at.
PREPARED = timedelta(minutes=10)


def step(claimed: Claim[TuningJob]) -> Outcome:
    job = claimed.row
    if job.removes_files or job.removes_model:
        return removal.step(claimed)
    if job.phase in UNSENT or job.phase == Phase.CLOSED:
        return _unsent(claimed)
    if job.phase in UNSURE:
        return _unsure(claimed)
    if job.is_terminal:
        return observe.close(claimed)
    if job.cancel_requested_at and (not job.cancel_sent_at or claimed.now - job.cancel_sent_at > CANCEL_AGAIN):
        return _send_cancel(claimed)
    return observe.watch(claimed)


def _unsent(claimed: Claim[TuningJob]) -> Outcome:
    job = claimed.row
    if job.cancel_requested_at and not job.is_terminal:
        return _cancel(claimed, _("Cancelled. The job does not exist in Vertex AI."))
    if job.phase == Phase.CLOSED:
        return Outcome(None)
    if not job.prepared_at:
        return _prepare(claimed)
    if place := queue.place_to_wait(job, claimed.now):
        return Outcome(poll_seconds() * min(place, LONGEST_WAIT))
    if claimed.now - job.prepared_at > PREPARED:
        return _prepare(claimed)
    return Submission(claimed, JobCreation(job)).step()


def _unsure(claimed: Claim[TuningJob]) -> Outcome:
    """With a cancel waiting nobody needs to be asked: what never appeared is cancelled."""
    job = claimed.row
    outcome = Submission(claimed, JobCreation(job)).step()
    phase = outcome.changes.get("phase", job.phase)
    if job.cancel_requested_at and phase == Phase.NEEDS_DECISION:
        return _cancel(claimed, _("Cancelled. The job did not appear in Vertex AI."))
    return outcome


def _cancel(claimed: Claim[TuningJob], sentence: str) -> Outcome:
    changes = {"state": TuningState.CANCELLED, "phase": Phase.CLOSED, "ended_at": claimed.now, "notice": ""}
    return Outcome(None, changes, [(EventLevel.INFO, sentence)])


def _send_cancel(claimed: Claim[TuningJob]) -> Outcome:
    """Refused means that it has just ended: the next look tells how."""
    try:
        request.choose_service(claimed.row).cancel(claimed.row.resource_name)
    except NotFound:
        return _cancel(claimed, _("Cancelled. The job no longer exists in Vertex AI."))
    except NotAuthorised:
        raise
    except Refused as error:
        return Outcome(NOW, {"cancel_sent_at": claimed.now, "notice": str(error)})
    events = [] if claimed.row.cancel_sent_at else [(EventLevel.INFO, _("Vertex AI was asked to cancel the job."))]
    return Outcome(NOW, {"cancel_sent_at": claimed.now, "notice": ""}, events)


def _prepare(claimed: Claim[TuningJob]) -> Outcome:
    """What Vertex AI needs in place: the data in `gs://`, an output folder that can be written to."""
    job = claimed.row
    if not settings.VERTEX_BUCKET:
        return _fail(claimed, _("There is no bucket for datasets. Set VERTEX_BUCKET, then start the job again."))
    for dataset in filter(None, (job.dataset, job.validation_dataset)):
        if reason := references.why_not_sent(dataset):
            return _fail(claimed, reason, _field_of(job, dataset))
        if dataset.is_read_at_source and (reason := source.why_not_at_source(dataset)):
            return _upload(claimed, dataset, reason)
        if not dataset.is_read_at_source and not _is_uploaded(dataset):
            return _upload(claimed, dataset)
        if dataset.image_count and (outcome := _send_images(claimed, dataset)):
            return outcome
    if problem := get_gateway().storage.problem_with_output(job.output_uri):
        return _fail(claimed, _("%s Choose another output directory and start a new job.") % problem, "output_uri")
    return Outcome(NOW, {"prepared_at": claimed.now, "notice": ""})


def _is_uploaded(dataset: Dataset) -> bool:
    """The copy is there and whole: a bucket can be emptied, and an object replaced, behind our back."""
    uri = copy_uri(dataset)
    found = get_gateway().storage.find_object(uri) if dataset.uploaded_uri == uri else None
    if found is None:
        return False
    size = store.size(dataset.stored_name)
    return size is None or size == found.size


def _upload(claimed: Claim[TuningJob], dataset: Dataset, why_not_at_source: str = "") -> Outcome:
    storage, uri = get_gateway().storage, copy_uri(dataset)
    try:
        with store.local_copy(dataset.stored_name) as path:
            storage.ensure_bucket(uri, _bucket_region(claimed.row))
            storage.upload(path, uri)
    except FileNotFoundError:
        return _fail(claimed, why_gone(dataset), _field_of(claimed.row, dataset))
    # At once and whoever holds the lease by now: an upload slower than a lease must not start again for ever.
    Dataset.objects.filter(pk=dataset.pk).update(uploaded_uri=uri)
    uploaded = (EventLevel.INFO, _("Uploaded the dataset %(name)s to %(uri)s.") % {"name": dataset.name, "uri": uri})
    events = [(EventLevel.WARNING, why_not_at_source), uploaded] if why_not_at_source else [uploaded]
    return Outcome(NOW, {"notice": ""}, events)


def _send_images(claimed: Claim[TuningJob], dataset: Dataset) -> Outcome | None:
    """None: all are there. A step takes part of its lease, and the next one goes on."""
    until = time.monotonic() + SENDING.total_seconds()

    def has_time() -> bool:
        return time.monotonic() < until

    found = sending.send(dataset, has_time)
    if found.left:
        words = {"left": found.left, "name": dataset.name}
        return Outcome(NOW, {"notice": _("Uploading the images of the dataset %(name)s: %(left)d left.") % words})
    if reason := found.problem or sending.find_missing(dataset, has_time):
        return _fail(claimed, reason, _field_of(claimed.row, dataset))
    if not found.sent:
        return None
    words = {"count": found.sent, "name": dataset.name}
    sentence = ngettext(
        "Uploaded %(count)d image of the dataset %(name)s.", "Uploaded %(count)d images of the dataset %(name)s.",
        found.sent,
    )  # fmt: skip
    return Outcome(NOW, {"notice": ""}, [(EventLevel.INFO, sentence % words)])


def _bucket_region(job: TuningJob) -> str:
    """A job wants its data near; of `global` nobody knows where it will run."""
    return "" if job.location in regions.NO_REGIONS else job.location


def _field_of(job: TuningJob, dataset: Dataset) -> str:
    return "dataset" if dataset.pk == job.dataset_id else "validation_dataset"


def _fail(claimed: Claim[TuningJob], sentence: str, field: str = "") -> Outcome:
    changes = {
        "state": TuningState.FAILED, "phase": Phase.CLOSED, "ended_at": claimed.now,
        "error_code": "FAILED_PRECONDITION", "error_message": sentence, "error_field": field,
        "notice": "",
    }  # fmt: skip
    return Outcome(None, changes, [(EventLevel.ERROR, sentence)])


def local_labels(job: TuningJob | TuningSpec) -> dict[str, str]:
    """The settings that only the local server takes; empty on Google, where none is accepted, and for a container,
    which is told them as arguments."""
    if job.training_machine:
        return {}
    return as_labels({name: getattr(job, name) for name in ADVANCED})


class JobCreation:
    after_window = Phase.NEEDS_DECISION

    def __init__(self, job: TuningJob) -> None:
        self.job = job
        self.model = job.base_model
        self.window = timedelta(seconds=settings.VERTEX_AMBIGUOUS_SECONDS)

    def look(self) -> Binding | None:
        is_thorough = self.job.phase not in UNSENT
        jobs = request.choose_service(self.job)
        found = jobs.find("app-key", str(self.job.pk), [self.job.location], is_thorough=is_thorough)
        if not found:
            return None
        ours = [remote for remote in found if is_ours(self.job, remote.labels)]
        if not ours:
            raise Foreign(
                _("Vertex AI already has a job with this key but different settings: %s. Start a new job.")
                % found[0].name
            )
        return _columns(ours[0]), [_orphaned_event(remote) for remote in found if remote.name != ours[0].name]

    def prepare(self) -> Callable[[], Mapping[str, Any]]:
        if self.job.is_in_container:
            custom_jobs, custom = get_gateway().custom_jobs, request.make_spec(self.job, self._labels())
            return lambda: _columns(custom_jobs.create(custom))
        tuning, spec = get_gateway().tuning, self._spec()
        return lambda: _columns(tuning.create(spec))

    def accept_licence(self) -> None:
        get_gateway().catalogue.acknowledge_licence(self.model)

    def _labels(self) -> dict[str, str]:
        return {**self.job.labels, **local_labels(self.job), **labels(self.job)}

    def _spec(self) -> TuningJobSpec:
        job = self.job
        validation = job.validation_dataset
        return TuningJobSpec(
            base_model=job.base_model,
            display_name=job.display_name,
            output_uri=job.output_uri,
            training_dataset_uri=dataset_uri(job.dataset),
            validation_dataset_uri=dataset_uri(validation) if validation else "",
            epochs=job.epochs,
            learning_rate=job.learning_rate,
            tuning_mode=job.tuning_mode,
            adapter_size=job.adapter_size,
            batch_size=job.batch_size,
            export_last_checkpoint_only=job.export_last_checkpoint_only,
            labels=self._labels(),
            description=job.description,
            custom_base_model=job.custom_base_model,
            location=job.location,
        )


def _columns(remote: RemoteTuningJob) -> Mapping[str, Any]:
    return {"resource_name": remote.name}


def _orphaned_event(remote: RemoteTuningJob) -> Event:
    return EventLevel.WARNING, orphaned_jobs.sentence(remote)
