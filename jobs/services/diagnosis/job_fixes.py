"""Mends a tuning job: starts another in its place, with what was at fault put right, from where it stopped."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID, uuid5

from django.conf import settings
from django.db import transaction
from django.utils.text import slugify

from jobs.models import EventLevel, TuningJob, Visibility
from jobs.services.datasets import derive
from jobs.services.storage import policies as storage
from jobs.services.tuned_models import continuation, policies as tuned_models
from jobs.services.tuned_models.continuation import Start
from jobs.services.tuning import drafts, jobs
from jobs.services.tuning.spec import TuningSpec
from jobs.states import TUNING_UNSUCCESSFUL
from jobs.text.deferred import gettext as _

from . import policies
from .causes import Diagnosis, Fix
from .of_job import diagnose, find_region_of_bucket, other_regions

# What the local server takes where none was chosen; what Google takes is not known.
LOCAL_BATCH = 4
LOWER = 10
# So often a fix can be asked for anew after what it started was deleted.
TRIES = 10


@dataclass(frozen=True)
class Plan:
    """`changes`: the settings that differ from those of the job. `start` None: the training begins anew."""

    fix: str
    key: UUID
    changes: Mapping[str, Any] = field(default_factory=dict)
    start: Start | None = None


def mend(job: TuningJob, fix: str) -> TuningJob:
    """Asked twice it is one job, whoever clicked twice. One that still runs is cancelled. Raises NotAllowedNow, and
    InvalidValues for what may not be started any more."""
    if found := _find_made(job, fix):
        return found
    diagnosis = diagnose(job)
    policies.check_can_mend(job, diagnosis, fix, find_successor(job))
    assert diagnosis is not None
    wanted = _prepare(job, diagnosis, fix)
    with transaction.atomic():
        row = TuningJob.objects.select_for_update().get(pk=job.pk)
        if found := _find_made(row, fix):
            return found
        policies.check_can_mend(row, diagnose(row), fix, find_successor(row))
        made = _start(row, wanted)
        if not row.is_terminal:
            jobs.request_cancel(row)
    job.refresh_from_db()
    return made


def _find_made(job: TuningJob, fix: str) -> TuningJob | None:
    found: TuningJob | None = TuningJob.objects.visible_to(job.owner).filter(pk=key_of(job, fix)).first()
    return found


def key_of(job: TuningJob, fix: str) -> UUID:
    """Of the job that this fix starts: another one once that was deleted, whose row stays."""
    keys = _keys(job, fix)
    gone = set(TuningJob.objects.filter(pk__in=keys, visibility=Visibility.DELETED).values_list("pk", flat=True))
    return next((key for key in keys if key not in gone), keys[-1])


def _keys(job: TuningJob, fix: str) -> list[UUID]:
    return [uuid5(job.pk, f"mend {fix} {number}") for number in range(TRIES)]


def find_attempts(job: TuningJob) -> list[TuningJob]:
    """What was started in place of this one, the newest first."""
    keys = [key for fix in Fix for key in _keys(job, fix)]
    return list(TuningJob.objects.visible_to(job.owner).filter(pk__in=keys).rows())


def find_successor(job: TuningJob) -> TuningJob | None:
    """The one that has not failed itself."""
    return next((one for one in find_attempts(job) if one.state not in TUNING_UNSUCCESSFUL), None)


def plan(job: TuningJob, found: Diagnosis, fix: str) -> Plan:
    """Without the dataset that Fix.LEAVE_OUT makes."""
    start = None if fix == Fix.FROM_BASE else find_start(job, found)
    return Plan(fix, key_of(job, fix), CHANGES[Fix(fix)](job), start)


def find_start(job: TuningJob, found: Diagnosis) -> Start | None:
    """The newest checkpoint that a new job can go on from; of a training that went astray, the newest before that."""
    until = found.diverged_at
    for one in sorted(job.checkpoints, key=lambda one: -int(one["step"])):
        is_good = until is None or int(one["step"]) < until
        if is_good and not tuned_models.why_not_continue(job, one["checkpoint_id"]):
            return continuation.start_of(job, one["checkpoint_id"])
    return None


def spec_of(job: TuningJob, wanted: Plan) -> TuningSpec:
    """As the job, but for what is changed, its name and its folder: each job has its own."""
    values = {name: getattr(job, name) for name in TuningSpec.__dataclass_fields__}
    values["display_name"] = drafts.free_name(job.owner, job.display_name)
    values["output_uri"] = _folder_for(job, wanted)
    if wanted.start:
        values |= {"custom_base_model": wanted.start.uri, "epochs": _epochs_left(job, wanted.start)}
    return TuningSpec(**values | dict(wanted.changes))


def _epochs_left(job: TuningJob, start: Start) -> int:
    return max(1, job.epochs - start.epoch)


def _folder_for(job: TuningJob, wanted: Plan) -> str:
    """Beside the old one where this person may write, else where new jobs are proposed to."""
    folder = f"{slugify(job.display_name)[:40] or 'model'}-{wanted.key.hex[:8]}"
    beside = f"{job.output_uri.rpartition('/')[0]}/{folder}"
    if wanted.fix != Fix.NEW_FOLDER and not storage.why_not_claim(job.owner, beside, wanted.key):
        return beside
    return f"{storage.output_root(job.owner)}/{folder}"


def _prepare(job: TuningJob, found: Diagnosis, fix: str) -> Plan:
    """Makes the dataset that is left without its bad rows, which takes as long as reading it."""
    wanted = plan(job, found, fix)
    if fix != Fix.LEAVE_OUT:
        return wanted
    assert job.dataset is not None
    return replace(wanted, changes={**wanted.changes, "dataset": derive.leave_out_rows(job.dataset, found.rows)})


def _start(job: TuningJob, wanted: Plan) -> TuningJob:
    made = jobs.create(job.owner, key=wanted.key, spec=spec_of(job, wanted))
    job.events.create(level=EventLevel.INFO, message=_("You started %s in place of this job.") % made.display_name)
    made.events.create(level=EventLevel.INFO, message=_("It was started in place of %s.") % job.display_name)
    jobs.notify(job)
    return made


def _other_region(job: TuningJob) -> dict[str, Any]:
    """The nearest by its name, since the bucket may be of that part of the world."""
    near = job.location.partition("-")[0]
    return {"location": min(other_regions(job), key=lambda region: region.partition("-")[0] != near)}


def _halve_batch(job: TuningJob) -> dict[str, Any]:
    size = job.batch_size or (LOCAL_BATCH if settings.VERTEX_API_ENDPOINT else 2)
    return {"batch_size": max(1, size // 2)}


CHANGES: dict[Fix, Callable[[TuningJob], dict[str, Any]]] = {
    Fix.LEAVE_OUT: lambda job: {},
    Fix.NO_VALIDATION: lambda job: {"validation_dataset": None},
    Fix.ACCEPT_TERMS: lambda job: {"accepts_licence": True},
    Fix.OTHER_REGION: _other_region,
    Fix.REGION_OF_BUCKET: lambda job: {"location": find_region_of_bucket(job)},
    Fix.NEW_FOLDER: lambda job: {},
    Fix.HALVE_BATCH: _halve_batch,
    Fix.LOWER_RATE: lambda job: {"learning_rate": float(f"{job.learning_rate / LOWER:.6g}")},
    Fix.FROM_BASE: lambda job: {"custom_base_model": ""},
    Fix.GO_ON: lambda job: {},
}
