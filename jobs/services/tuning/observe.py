"""Reads a job that exists in Vertex AI: its state, its metrics, its log. What Vertex AI shows is the truth."""

import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from jobs.models import EventLevel, ModelForm, TuningJob, TuningMode
from jobs.services.endpoints import endpoints
from jobs.services.remote import row_claim
from jobs.services.remote.row_claim import Claim, Outcome, pause, poll_seconds
from jobs.services.tuned_models import policies as tuned_models
from jobs.services.tuned_models.checkpoints import RESULTS
from jobs.services.tuned_models.forms import SERVABLE_ADAPTER
from jobs.services.tuned_models.results import find_results, place_checkpoints
from jobs.services.tuned_models.saved import find_checkpoints
from jobs.states import TUNED, TUNING_LIVE, TUNING_TERMINAL, TUNING_TRANSITIONS, TUNING_UNSUCCESSFUL, Phase, TuningState
from jobs.text.deferred import gettext as _, join, ngettext
from jobs.vertex import get_gateway
from jobs.vertex.errors import NotFound, VertexError
from jobs.vertex.values import Checkpoint, RemoteTuningJob

from .container import reports, request
from .joining import beside
from .reading.log import read_log
from .reading.metrics import Reading, read_metrics
from .reading.series import name_series

logger = logging.getLogger(__name__)

MISSES = 3


def watch(claimed: Claim[TuningJob]) -> Outcome:
    """The state decides, so it is kept even when the metrics or the log cannot be read this time."""
    job = claimed.row
    try:
        remote = request.choose_service(job).get(job.resource_name)
    except NotFound:
        return _missing(claimed)
    reading = Reading({"empty_looks": 0})
    try:
        remote = reports.complete(job, remote)
        _read(claimed, remote, reading)
    except VertexError as error:
        logger.info("The progress of %s could not be read: %s", job.pk, error)
    state, notice = observe(job.state, remote.state)
    reading.changes["notice"] = notice
    if notice and notice != job.notice:
        reading.events.append((EventLevel.WARNING, notice))
    if state != job.state:
        _enter(claimed, state, remote, reading)
    if state in TUNED and not job.result_form:
        _find_model(job, reading)
    return Outcome(poll_seconds(), reading.changes, reading.events, lambda: _keep(job, state, reading))


def close(claimed: Claim[TuningJob]) -> Outcome:
    """One more look after the end: the last lines of the log and the last points may come later than the state."""
    job, reading = claimed.row, Reading()
    joined = beside.join(job, claimed.now) if beside.is_asked_for(job) else beside.Joined()
    if joined.waits:
        return Outcome(pause(), {"notice": joined.waits})
    if joined.problem:
        reading.changes["join_problem"] = joined.problem
        reading.events.append((EventLevel.WARNING, _("The model was not deployed: %s") % joined.problem))
    with suppress(NotFound):
        _read(claimed, reports.complete(job, request.choose_service(job).get(job.resource_name)), reading, ended=True)
    if job.state in TUNED and not job.result_form:
        _find_model(job, reading)
    if job.state in TUNING_UNSUCCESSFUL and job.started_at and not reading.changes.get("checkpoints"):
        _keep_checkpoints(job, find_checkpoints(job), reading)
    return Outcome(None, {**reading.changes, "phase": Phase.CLOSED, "notice": ""}, reading.events, reading.save_points)


def observe(state: str, remote: str) -> tuple[str, str]:
    """The state to take from what Vertex AI reports, and a notice where it reports what we do not follow."""
    if remote not in TuningState.values:
        return state, _("Vertex AI reports the state %s, which this console does not know.") % remote
    if remote == state or (state == TuningState.CANCELLING and remote in TUNING_LIVE):
        return state, ""
    if remote in TUNING_TRANSITIONS[state]:
        return remote, ""
    words = {"remote": TuningState(remote).label, "state": TuningState(state).label}
    return state, _("Vertex AI reports %(remote)s after %(state)s. The status of the job stays the same.") % words


def _keep(job: TuningJob, state: str, reading: Reading) -> None:
    reading.save_points()
    is_wanted = job.auto_deploy and not job.joins_endpoint and not job.cancel_requested_at
    if state == TuningState.SUCCEEDED and job.state != state and is_wanted:
        # With what this look has told: a job of `global` says only now in which region its model is.
        row = TuningJob.objects.select_related("owner").get(pk=job.pk)
        if reason := tuned_models.why_not_serve(row):
            row_claim.record(row, EventLevel.WARNING, _("The model was not deployed: %s") % reason)
        else:
            endpoints.deploy_for_job(row)


def _find_model(job: TuningJob, reading: Reading) -> None:
    """Where nobody may look, it is taken to lie where Vertex AI's documentation has it."""
    try:
        found = find_results(job)
    except VertexError as error:
        logger.info("The output folder of %s could not be listed: %s", job.pk, error)
        return
    model, listed = found.model, reading.changes.get("checkpoints", job.checkpoints)
    reading.changes |= {
        "result_folder": model.folder if model else "", "result_form": model.form if model else ModelForm.NONE,
        "checkpoints": place_checkpoints(job, listed, found),
    }  # fmt: skip
    if model is None:
        words = _("No model was found in the output directory %s. Check the log.") % job.output_uri
        reading.events.append((EventLevel.WARNING, words))


def _missing(claimed: Claim[TuningJob]) -> Outcome:
    """Absence is believed at the third look; for a job that was to be cancelled at the first."""
    job = claimed.row
    if job.cancel_requested_at:
        changes = {"state": TuningState.CANCELLED, "phase": Phase.CLOSED, "ended_at": claimed.now, "notice": ""}
        return Outcome(None, changes, [(EventLevel.INFO, _("Cancelled. The job no longer exists in Vertex AI."))])
    if job.empty_looks + 1 < MISSES:
        return Outcome(pause(), {"empty_looks": job.empty_looks + 1})
    sentence = _("The job was deleted from Vertex AI. Start a new one to train the model.")
    changes = {
        "state": TuningState.FAILED, "phase": Phase.CLOSED, "ended_at": claimed.now, "notice": "",
        "error_code": "NOT_FOUND", "error_message": sentence,
    }  # fmt: skip
    return Outcome(None, changes, [(EventLevel.ERROR, sentence)])


def _enter(claimed: Claim[TuningJob], state: str, remote: RemoteTuningJob, reading: Reading) -> None:
    reading.changes["state"] = state
    if state not in TUNING_TERMINAL:
        reading.events.append((EventLevel.INFO, _SENTENCES[state]()))
        return
    reading.changes["ended_at"] = remote.end_time or claimed.now
    if state in (TuningState.FAILED, TuningState.EXPIRED):
        code = remote.error.code if remote.error else state
        message = remote.error.message if remote.error else _("Vertex AI gave no reason.")
        sentence = message if "gcloud " in message else join(_end(message), remedy(code))
        reading.changes |= {"error_code": code, "error_message": sentence}
        reading.events.append((EventLevel.ERROR, sentence))
        return
    reading.events.append((EventLevel.INFO, _SENTENCES[state]()))
    if state == TuningState.SUCCEEDED and claimed.row.auto_deploy and claimed.row.cancel_requested_at:
        reading.events.append((EventLevel.INFO, _("It is not deployed automatically because you cancelled the job.")))


_SENTENCES: dict[str, Callable[[], str]] = {
    TuningState.QUEUED: lambda: _("Vertex AI has queued the job."),
    TuningState.PENDING: lambda: _("Vertex AI is preparing the job."),
    TuningState.RUNNING: lambda: _("Training is running."),
    TuningState.PAUSED: lambda: _("Vertex AI has paused the job."),
    TuningState.CANCELLING: lambda: _("Vertex AI is cancelling the job."),
    TuningState.CANCELLED: lambda: _("The job was cancelled."),
    TuningState.SUCCEEDED: lambda: _("Training succeeded."),
    TuningState.PARTIALLY_SUCCEEDED: lambda: _("Training partially succeeded. Check the log."),
}


def _end(message: str) -> str:
    return message if message.endswith(".") else f"{message}."


def remedy(code: str) -> str:
    if code == "INVALID_ARGUMENT":
        return _("Correct the settings or the dataset, then start a new job.")
    if code == "RESOURCE_EXHAUSTED":
        return _("Wait for other jobs to end or request more quota, then start a new job.")
    if code in ("PERMISSION_DENIED", "UNAUTHENTICATED"):
        return _("Grant the missing role to the console's account, then start a new job.")
    return _("Check the log, then start the job again.")


def _read(claimed: Claim[TuningJob], remote: RemoteTuningJob, reading: Reading, *, ended: bool = False) -> None:
    job = claimed.row
    _read_facts(job, remote, reading)
    if remote.start_time is None and not ended:
        return
    reading.changes |= read_log(claimed, ended=ended)
    experiment = remote.experiment or job.experiment
    if job.is_in_container:
        read_metrics(job, name_series(reports.read_series(job)), reading)
    elif experiment:
        read_metrics(job, name_series(get_gateway().metrics.read(experiment)), reading)


def describe_lost_rows(stats: Mapping[str, Any]) -> list[str]:
    """Which rows are not learnt whole, in sentences."""
    cut, dropped = _count_lost_rows(stats)
    why = " ".join(dict.fromkeys(stats.get("droppedExampleReasons", [])))
    sentences = (
        (cut, ngettext("%d row was longer than the limit and was truncated.",
                       "%d rows were longer than the limit and were truncated.", cut) % cut),
        (dropped, ngettext("%(rows)d row was excluded from training: %(why)s",
                           "%(rows)d rows were excluded from training: %(why)s", dropped)
                  % {"rows": dropped, "why": why}),
    )  # fmt: skip
    return [sentence for rows, sentence in sentences if rows]


def _count_lost_rows(stats: Mapping[str, Any]) -> tuple[int, int]:
    """Rows cut and rows left out. Vertex AI has one count for both; with a reason for each, all were left out."""
    count, reasons = int(stats.get("totalTruncatedExampleCount", 0)), len(stats.get("droppedExampleReasons", []))
    if reasons and reasons >= len(stats.get("truncatedExampleIndices", [])):
        return 0, max(count, reasons)
    return max(count - reasons, 0), reasons


def _read_facts(job: TuningJob, remote: RemoteTuningJob, reading: Reading) -> None:
    facts = {
        "started_at": remote.start_time, "total_steps": remote.total_steps, "experiment": remote.experiment,
        "tuned_model": remote.tuned_model, "data_stats": dict(remote.data_stats),
    }  # fmt: skip
    reading.changes |= {name: value for name, value in facts.items() if value}
    if remote.total_steps and not job.total_steps:
        reading.events.append((EventLevel.INFO, _("The training has %d steps.") % remote.total_steps))
    told = describe_lost_rows(job.data_stats)
    reading.events += [(EventLevel.WARNING, one) for one in describe_lost_rows(remote.data_stats) if one not in told]
    _keep_checkpoints(job, [_checkpoint(job, one) for one in remote.checkpoints], reading)


def _keep_checkpoints(job: TuningJob, found: list[dict[str, Any]], reading: Reading) -> None:
    known = {one["checkpoint_id"] for one in job.checkpoints}
    for one in found:
        if one["checkpoint_id"] not in known:
            words = {"epoch": one["epoch"], "step": one["step"]}
            reading.events.append((EventLevel.INFO, _("Checkpoint of epoch %(epoch)d saved at step %(step)d.") % words))
    if found:
        reading.changes["checkpoints"] = found


def _checkpoint(job: TuningJob, found: Checkpoint) -> dict[str, Any]:
    """What lies in its folder is looked at once: it does not change after the checkpoint is listed."""
    facts = {"checkpoint_id": found.checkpoint_id, "epoch": found.epoch, "step": found.step}
    known: dict[str, Any] = next((one for one in job.checkpoints if facts.items() <= one.items()), {})
    facts |= {key: known[key] for key in ("folder", "form") if key in known}
    if job.tuning_mode != TuningMode.PEFT_ADAPTER:
        return facts
    adapter = f"{job.output_uri.rstrip('/')}/{RESULTS}/checkpoint-{found.step}/{SERVABLE_ADAPTER}"
    is_servable = known.get("is_servable")
    return facts | {
        "is_servable": get_gateway().storage.find_object(adapter) is not None if is_servable is None else is_servable
    }
