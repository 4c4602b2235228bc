"""What a smoke run saw of Vertex AI, as far as it came."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from jobs.models import Endpoint, TuningJob
from jobs.services.preflight.checks import TUNING_QUOTA
from jobs.services.storage import output_files
from jobs.vertex import get_gateway
from jobs.vertex.errors import NotFound, VertexError
from jobs.vertex.values import RemoteEndpoint, RemoteTuningJob

logger = logging.getLogger(__name__)

MOST_NAMES = 2000
T = TypeVar("T")


@dataclass
class Evidence:
    """None: it was not seen. `files` are names below the job's output folder."""

    job: RemoteTuningJob | None = None
    tuning_mode: str = ""
    learning_rate: float | None = None
    asked_labels: Mapping[str, str] = field(default_factory=dict)
    files: tuple[str, ...] | None = None
    metrics: tuple[str, ...] | None = None
    endpoint: RemoteEndpoint | None = None
    answer: str | None = None
    list_has_machines: bool | None = None
    terms_accepted: bool | None = None
    tuning_quota: int | None = None
    is_quota_readable: bool | None = None
    is_gone: bool | None = None


def look_at_project(evidence: Evidence, base_model: str, region: str) -> None:
    """Free of charge, before anything else."""
    gateway = get_gateway()
    models = _attempt(gateway.catalogue.list_models)
    if models is not None:
        evidence.list_has_machines = any(model.machine_specs for model in models)
    evidence.terms_accepted = _attempt(lambda: gateway.catalogue.licence_acknowledged(base_model))
    try:
        evidence.tuning_quota = gateway.project.quota(TUNING_QUOTA, region)
        evidence.is_quota_readable = evidence.tuning_quota is not None
    except VertexError as error:
        logger.info("The quota of tuning jobs was not told: %s", error)


def look_at_job(evidence: Evidence, job: TuningJob) -> None:
    gateway = get_gateway()
    evidence.tuning_mode, evidence.learning_rate = job.tuning_mode, job.learning_rate
    evidence.asked_labels = {"app-key": str(job.pk)}
    if not job.resource_name:
        return
    evidence.job = _attempt(lambda: gateway.tuning.get(job.resource_name))
    evidence.files = _attempt(lambda: tuple(sorted(one.name for one in output_files.walk(job.output_uri, MOST_NAMES))))
    if evidence.job and evidence.job.experiment:
        experiment = evidence.job.experiment
        evidence.metrics = _attempt(lambda: tuple(sorted(gateway.metrics.read(experiment))))


def look_at_endpoint(evidence: Evidence, endpoint: Endpoint) -> None:
    evidence.endpoint = _attempt(lambda: get_gateway().deployment.get_endpoint(endpoint.resource_name))


def is_gone(name: str) -> bool | None:
    """Whether Vertex AI says that there is no such endpoint; None where it says nothing."""
    try:
        found = get_gateway().deployment.get_endpoint(name)
    except NotFound:
        return True
    except VertexError:
        return None
    return not found.deployed_models


def _attempt(read: Callable[[], T]) -> T | None:
    try:
        return read()
    except VertexError as error:
        logger.info("Left unknown: %s", error)
        return None
