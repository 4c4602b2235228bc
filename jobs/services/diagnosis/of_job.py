"""What went wrong with a tuning job. Reads the row, its curve and nothing of Vertex AI."""

from collections.abc import Iterator

from django.utils import timezone

from jobs.models import TuningJob
from jobs.models.fields.uris import names_inside
from jobs.services.catalogue import regions
from jobs.services.tuning import observe
from jobs.states import TUNED, TuningState

from . import policies, reasons
from .causes import GRANTED_BY_COMMAND, LONGEST_LINE, NUMBERS_SHOWN, Cause, Diagnosis, Fact, FactName, Fix
from .loss import Divergence, find_divergence

FAILED = (TuningState.FAILED, TuningState.EXPIRED)
# A line of the log that begins like the reason says nothing more.
SAME = 60
# What `jobs.decide` writes.
GIVEN_UP = "UNKNOWN"
# What mends a cause, the best first. All of them go on from the last good checkpoint where there is one that they can.
FIXES: dict[Cause, tuple[Fix, ...]] = {
    Cause.DATA: (Fix.LEAVE_OUT,),
    Cause.VALIDATION_DATA: (Fix.NO_VALIDATION,),
    Cause.TERMS: (Fix.ACCEPT_TERMS,),
    Cause.QUOTA: (Fix.GO_ON,),
    Cause.API_DISABLED: (Fix.GO_ON,),
    Cause.BILLING: (Fix.GO_ON,),
    Cause.QUOTA_PROJECT: (Fix.GO_ON,),
    Cause.PERMISSION: (Fix.GO_ON,),
    Cause.OUTPUT: (Fix.NEW_FOLDER, Fix.GO_ON),
    Cause.REGION: (Fix.REGION_OF_BUCKET, Fix.GO_ON),
    Cause.STOCK_OUT: (Fix.OTHER_REGION, Fix.GO_ON),
    Cause.MEMORY: (Fix.HALVE_BATCH, Fix.GO_ON),
    Cause.DISK: (Fix.GO_ON,),
    Cause.DIVERGED: (Fix.LOWER_RATE,),
    Cause.WORKER_GONE: (Fix.GO_ON,),
    Cause.VANISHED: (Fix.GO_ON,),
    Cause.TAKEN: (Fix.GO_ON,),
    Cause.START_GONE: (Fix.FROM_BASE,),
    Cause.UNKNOWN: (Fix.GO_ON,),
}

FIELDS = {
    Cause.DATA: "dataset",
    Cause.VALIDATION_DATA: "validation_dataset",
    Cause.QUOTA: "location",
    Cause.REGION: "location",
    Cause.STOCK_OUT: "location",
    Cause.OUTPUT: "output_uri",
    Cause.MEMORY: "batch_size",
    Cause.DIVERGED: "learning_rate",
    Cause.START_GONE: "custom_base_model",
}


def find_field(job: TuningJob) -> str:
    """Which setting is to be looked at before it is tried again, as `TuningSpec` calls it; empty when nothing tells."""
    found = diagnose(job)
    return FIELDS.get(found.cause, "") if found else ""


def diagnose(job: TuningJob) -> Diagnosis | None:
    """Of one that failed; and of one that runs or succeeded while its loss went astray. None: nothing is known to be
    wrong."""
    if job.state in FAILED:
        return _of_failure(job)
    if job.state == TuningState.RUNNING or job.state in TUNED:
        found = find_divergence(job)
        return _of_divergence(job, found) if found else None
    return None


def reason_of(job: TuningJob) -> str:
    """In English, without the remedy that was added to it."""
    reason, remedy = reasons.in_english(job.error_message), reasons.in_english(observe.remedy(job.error_code))
    return reason.removesuffix(remedy).rstrip()


def _of_failure(job: TuningJob) -> Diagnosis:
    reason = reason_of(job)
    cause = _check_places(job, reasons.find_cause(job.error_code, reason, job.error_field), reason)
    astray = find_divergence(job) if cause in (Cause.UNKNOWN, Cause.DIVERGED) else None
    if astray or cause == Cause.DIVERGED:
        return _of_divergence(job, astray, reason)
    if cause == Cause.UNKNOWN:
        cause = _by_log(job)
    line = reasons.find_line(job.log_text, cause)
    line = "" if reason[:SAME] and reason[:SAME] in line else line
    rows = _rows_of(job, f"{reason}\n{line}") if cause == Cause.DATA else ()
    facts = [*_facts(job, cause, reason, rows), *_common(job, line)]
    return Diagnosis(cause, tuple(facts), reasons.shorten(job.error_message), _fixes(job, cause), rows)


def _check_places(job: TuningJob, cause: Cause, reason: str) -> Cause:
    """What is not found need not be the job: a reason may name its output directory, or another place in a bucket."""
    if cause not in (Cause.VANISHED, Cause.UNKNOWN):
        return cause
    if job.output_uri and names_inside(reason, job.output_uri.rstrip("/")):
        return Cause.OUTPUT
    is_the_job = job.resource_name and "gs://" not in reason
    return cause if is_the_job or job.error_code != "NOT_FOUND" else Cause.UNKNOWN


def _by_log(job: TuningJob) -> Cause:
    """What only the log tells, and that only where it cannot be a mere word in somebody's data."""
    told = (Cause.MEMORY, Cause.DISK, Cause.WORKER_GONE)
    return next((cause for cause in told if reasons.find_line(job.log_text, cause)), Cause.UNKNOWN)


def _of_divergence(job: TuningJob, found: Divergence | None, reason: str = "") -> Diagnosis:
    step = found.step if found else reasons.find_step(reason)
    facts = [Fact(FactName.LEARNING_RATE, job.learning_rate)]
    if step is not None:
        facts.append(Fact(FactName.LOSS_STEP, step))
    if found and found.best is not None:
        facts.append(Fact(FactName.LOSS_BEST, found.best))
    facts.append(Fact(FactName.LOSS_LAST, "NaN" if found is None or found.last is None else found.last))
    line = reasons.find_line(job.log_text, Cause.DIVERGED)
    shown = reasons.shorten(job.error_message)
    return Diagnosis(
        Cause.DIVERGED, (*facts, *_common(job, line)), shown, _fixes(job, Cause.DIVERGED), diverged_at=step
    )


def _fixes(job: TuningJob, cause: Cause) -> tuple[str, ...]:
    """The local server has one region, and nothing that runs out of stock. Terms that were accepted with the job and
    refused all the same have to be accepted elsewhere first; others would be refused again. What was given up while
    nobody knew whether Vertex AI had taken it may run there and cost money: that is not started once more by a button.
    """
    if job.error_code == GIVEN_UP and not job.resource_name:
        return ()
    found = FIXES[cause] if cause in FIXES else FIXES[Cause.UNKNOWN]
    if cause == Cause.TERMS:
        return (Fix.GO_ON,) if job.accepts_licence else (Fix.ACCEPT_TERMS,)
    if policies.lacks_terms(job):
        found = tuple(Fix.ACCEPT_TERMS if fix == Fix.GO_ON else fix for fix in found)
    if find_region_of_bucket(job) not in regions.list_regions():
        found = tuple(fix for fix in found if fix != Fix.REGION_OF_BUCKET)
    return tuple(fix for fix in found if fix != Fix.OTHER_REGION or other_regions(job))


def other_regions(job: TuningJob) -> list[str]:
    """Where the job could run instead."""
    known = regions.list_regions() if regions.has_choice() else []
    return [region for region in known if region not in (job.location, regions.GLOBAL)]


def find_region_of_bucket(job: TuningJob) -> str:
    return reasons.find_place(reason_of(job))


def _rows_of(job: TuningJob, text: str) -> tuple[int, ...]:
    """Those that the reason names, and those that the console found itself."""
    known = job.dataset.problems if job.dataset else []
    return tuple(sorted({*reasons.find_rows(text), *(int(one["line"]) for one in known)}))


def _common(job: TuningJob, line: str) -> Iterator[Fact]:
    if job.last_checkpoint:
        yield Fact(FactName.CHECKPOINT, job.last_checkpoint)
    if job.error_code:
        yield Fact(FactName.CODE, job.error_code[:40])
    if line:
        yield Fact(FactName.LOG_LINE, line)


def _facts(job: TuningJob, cause: Cause, reason: str, rows: tuple[int, ...]) -> Iterator[Fact]:
    if rows:
        yield Fact(FactName.ROWS, name_numbers(rows))
    if cause == Cause.QUOTA and (quota := reasons.find_quota(reason)):
        yield Fact(FactName.QUOTA, quota)
    if cause in GRANTED_BY_COMMAND and (command := reasons.find_command(reason)):
        yield Fact(FactName.COMMAND, command)
    if cause == Cause.OUTPUT:
        yield Fact(FactName.FOLDER, job.output_uri)
    if cause == Cause.START_GONE:
        yield Fact(FactName.FOLDER, job.custom_base_model)
    if cause in (Cause.STOCK_OUT, Cause.REGION):
        yield Fact(FactName.REGION, job.location)
    if cause == Cause.MEMORY:
        yield from _of_memory(job, reason)
    if cause == Cause.WORKER_GONE and job.last_step_at:
        until = job.ended_at or timezone.now()
        yield Fact(FactName.SILENT_SECONDS, max(0, round((until - job.last_step_at).total_seconds())))


def _of_memory(job: TuningJob, reason: str) -> Iterator[Fact]:
    if job.batch_size:
        yield Fact(FactName.BATCH_SIZE, job.batch_size)
    if memory := reasons.find_memory(reason):
        yield Fact(FactName.MEMORY, memory[:LONGEST_LINE])


def name_numbers(numbers: tuple[int, ...]) -> str:
    shown = ", ".join(map(str, numbers[:NUMBERS_SHOWN]))
    return f"{shown}, …" if len(numbers) > NUMBERS_SHOWN else shown
