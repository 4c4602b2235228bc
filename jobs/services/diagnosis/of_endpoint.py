"""What went wrong with an endpoint whose model was never served. Reads the rows and nothing of Vertex AI."""

import re
from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.utils import timezone

from jobs.models import DeployedModel, Endpoint, PublisherModel
from jobs.services.catalogue import regions
from jobs.states import UNSENT, DeployedState, EndpointState

from . import reasons
from .causes import GRANTED_BY_COMMAND, LONGEST_LINE, Cause, Diagnosis, Fact, FactName, Fix

MACHINES_OFFERED = 2
REGIONS_OFFERED = 3
_SIZE = re.compile(r"-(\d{1,4})(?:$|g$)")


def diagnose(endpoint: Endpoint) -> Diagnosis | None:
    """Of one that failed, and of one that waits for quota that nobody may ever give. None: nothing is known to be
    wrong."""
    model = endpoint.model
    if endpoint.state == EndpointState.FAILED:
        return _of(model, model.error_code, model.error_message or endpoint.error_message)
    if endpoint.state == EndpointState.DEPLOYING and model.phase in UNSENT and model.attempt and model.notice:
        found = _of(model, "", model.notice)
        return found if found.cause == Cause.QUOTA else None
    return None


def diagnose_model(model: DeployedModel) -> Diagnosis | None:
    """Of one that was to join others on an endpoint and failed."""
    if model.state != DeployedState.FAILED or model.comes_with_endpoint:
        return None
    return _of(model, model.error_code, model.error_message)


def _of(model: DeployedModel, code: str, message: str) -> Diagnosis:
    reason = reasons.in_english(message)
    cause = reasons.find_cause(code, reason)
    if cause in (Cause.DATA, Cause.OUTPUT, Cause.START_GONE, Cause.VALIDATION_DATA, Cause.DIVERGED):
        cause = Cause.UNKNOWN
    facts = tuple(_facts(model, cause, reason, code))
    return Diagnosis(cause, facts, reasons.shorten(message), tuple(_fixes(model, cause)))


def _fixes(model: DeployedModel, cause: Cause) -> Iterator[str]:
    if cause == Cause.TERMS and not model.accepts_licence:
        yield Fix.ACCEPT_TERMS
        return
    if cause == Cause.NEVER_READY and model.comes_with_endpoint:
        yield Fix.REPLACE
    if cause == Cause.QUOTA and model.max_replicas > 1:
        yield Fix.ONE_REPLICA
    if cause in (Cause.STOCK_OUT, Cause.MEMORY, Cause.QUOTA, Cause.NEVER_READY):
        yield from (
            f"{Fix.MACHINE}:{one['machine_type']}" for one in other_machines(model, larger=cause == Cause.MEMORY)
        )
    if cause in (Cause.STOCK_OUT, Cause.QUOTA):
        yield from (f"{Fix.REGION}:{one}" for one in other_regions(model))
    if cause != Cause.NEVER_READY or not model.comes_with_endpoint:
        yield Fix.AGAIN


def other_machines(model: DeployedModel, *, larger: bool = False) -> list[dict[str, Any]]:
    """Others that the catalogue offers the base model on: with another accelerator first, where not a `larger` one is
    needed. The local server has one machine."""
    if settings.VERTEX_API_ENDPOINT:
        return []
    known = PublisherModel.objects.filter(name=model.base_model).first()
    specs = [dict(one) for one in known.data.get("machine_specs", [])] if known else []
    mine = next((one for one in specs if one["machine_type"] == model.machine_type), {})
    others = [one for one in specs if one["machine_type"] != model.machine_type]
    if larger:
        return sorted((one for one in others if size_of(one) > size_of(mine)), key=size_of)[:MACHINES_OFFERED]
    others.sort(key=lambda one: one.get("accelerator_type") == mine.get("accelerator_type"))
    return others[:MACHINES_OFFERED]


def other_regions(model: DeployedModel) -> list[str]:
    """A tuned model is served where it was tuned, and one that joins others where they are."""
    if model.job_id or not model.comes_with_endpoint or not regions.has_choice():
        return []
    return [one for one in regions.list_serving_regions() if one != model.location][:REGIONS_OFFERED]


def size_of(machine: dict[str, Any]) -> tuple[int, int]:
    """How many accelerators, then the number in its name."""
    found = _SIZE.search(machine.get("machine_type", ""))
    return int(machine.get("accelerator_count") or 0), int(found[1]) if found else 0


def _facts(model: DeployedModel, cause: Cause, reason: str, code: str) -> Iterator[Fact]:
    if cause == Cause.QUOTA and (quota := reasons.find_quota(reason)):
        yield Fact(FactName.QUOTA, quota)
    if cause in GRANTED_BY_COMMAND and (command := reasons.find_command(reason)):
        yield Fact(FactName.COMMAND, command)
    if cause == Cause.MEMORY and (memory := reasons.find_memory(reason)):
        yield Fact(FactName.MEMORY, memory[:LONGEST_LINE])
    if cause == Cause.WEIGHTS_GONE and model.artifact_uri:
        yield Fact(FactName.FOLDER, model.artifact_uri)
    if cause in (Cause.STOCK_OUT, Cause.MEMORY, Cause.QUOTA, Cause.NEVER_READY) and model.machine_type:
        yield Fact(FactName.MACHINE, model.machine_type)
    if cause in (Cause.STOCK_OUT, Cause.QUOTA):
        yield Fact(FactName.REGION, model.location)
    if cause == Cause.NEVER_READY:
        yield from _waited(model)
    if code:
        yield Fact(FactName.CODE, code[:40])


def _waited(model: DeployedModel) -> Iterator[Fact]:
    """The last stage before it ended in error, and how long all of them took."""
    stages = [stage for stage, _at in model.stage_times if stage != "FAILED_TO_DEPLOY"]
    if stages:
        yield Fact(FactName.STAGE, str(stages[-1])[:40])
    if model.submit_started_at:
        until = model.ended_at or timezone.now()
        yield Fact(FactName.WAITED_SECONDS, max(0, round((until - model.submit_started_at).total_seconds())))
