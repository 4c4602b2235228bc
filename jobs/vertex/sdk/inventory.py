"""Lists what is in the project, whoever made it. Asks for no more than it is told to, and filters jobs by their age
where the server takes that."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

from django.conf import settings
from google.cloud.aiplatform_v1beta1 import types

from jobs.vertex.errors import NotAuthorised, NotFound, Refused
from jobs.vertex.found import CUSTOM_JOB, ENDPOINT, MODEL, TUNING_JOB, Found, FoundModel, FoundPage, Machines
from jobs.vertex.moments import drop_impossible, write_moment

from . import clients
from .catalogue import short_name
from .deployments.deployment import RUNS_ON
from .messages import enum_name, job_state, raw
from .translate import translate_errors

# Endpoints of a list that says nothing of their machines are read one by one, these many at most.
MAX_GETS = 50
RESOURCES = ("dedicated_resources", "automatic_resources", "shared_resources")


@dataclass(frozen=True)
class Source:
    """A list method with its request; what lists newest first, and so can be cut, takes a filter by age."""

    service: str
    method: str
    request: Any
    parse: Callable[[Any], Found]
    has_filter: bool = False


class Inventory:
    def list_resources(self, kind: str, location: str, since: datetime, limit: int) -> FoundPage:
        source = LISTS[kind]
        rows, is_whole = _read(source, location, since, limit)
        if kind == ENDPOINT:
            rows = _complete(rows, location)
        found = [source.parse(row) for row in rows]
        if source.has_filter:
            found = [one for one in found if one.create_time is None or one.create_time >= since]
        return FoundPage(tuple(found), is_whole)


def _read(source: Source, location: str, since: datetime, limit: int) -> tuple[list[Any], bool]:
    """A filter that is refused is left out: what is too old is left out afterwards."""
    if not source.has_filter:
        return _pages(source, location, "", limit)
    try:
        return _pages(source, location, f'create_time>="{write_moment(since)}"', limit)
    except (NotAuthorised, NotFound):
        raise
    except Refused:
        return _pages(source, location, "", limit)


def _pages(source: Source, location: str, wanted: str, limit: int) -> tuple[list[Any], bool]:
    request = source.request(parent=clients.parent(location), page_size=settings.VERTEX_PAGE_SIZE)
    if wanted:
        request.filter = wanted
    pages = clients.ask(getattr(clients.client(source.service, location), source.method), request)
    with translate_errors():
        rows = list(islice(clients.limit_pages(pages), limit + 1))
    return rows[:limit], len(rows) <= limit


def _complete(endpoints: list[Any], location: str) -> list[Any]:
    """Whether a list tells the machines is not documented; where it does not, the endpoint itself does."""
    client, left = clients.client("endpoint_service", location), MAX_GETS
    complete = []
    for endpoint in endpoints:
        if left and any(not any(name in model for name in RESOURCES) for model in endpoint.deployed_models):
            left -= 1
            try:
                endpoint = clients.ask(client.get_endpoint, types.GetEndpointRequest(name=endpoint.name))
            except NotFound:
                continue
        complete.append(endpoint)
    return complete


def _endpoint(endpoint: Any) -> Found:
    models = tuple(_deployed(model, endpoint.traffic_split.get(model.id, 0)) for model in endpoint.deployed_models)
    labels = {key: value for model in endpoint.deployed_models for key, value in model.system_labels.items()}
    return Found(
        name=endpoint.name,
        display_name=endpoint.display_name,
        labels=labels | dict(endpoint.labels),
        create_time=drop_impossible(endpoint.create_time),
        dedicated_dns=endpoint.dedicated_endpoint_dns,
        models=models,
        machines=tuple(model.machines for model in models),
    )


def _deployed(model: Any, share: int) -> FoundModel:
    available = model.status.available_replica_count if "status" in model else None
    machines = Machines("", available=available)
    if "dedicated_resources" in model:
        resources = model.dedicated_resources
        here = model.system_labels.get(RUNS_ON, "")
        low = resources.min_replica_count
        machines = _machines(resources.machine_spec, low, max(low, resources.max_replica_count), available, here)
    return FoundModel(model.id, model.model, model.display_name, machines, drop_impossible(model.create_time), share)


def _machines(spec: Any, count: int, most: int, available: int | None = None, here: str = "") -> Machines:
    """`here`: what the local Vertex AI runs on, whatever was asked for."""
    if here:
        return Machines(here, count=count, most=most, available=available)
    kind = raw(spec).accelerator_type
    name = enum_name(types.AcceleratorType, kind) if kind else ""
    return Machines(spec.machine_type, name, spec.accelerator_count, count, most, available)


def _model(model: Any) -> Found:
    garden = model.base_model_source.model_garden_source
    return Found(
        name=model.name,
        display_name=model.display_name,
        labels=dict(model.labels),
        create_time=drop_impossible(model.create_time),
        base_model=short_name(garden.public_model_name, garden.version_id) if garden.public_model_name else "",
        folder=model.artifact_uri,
        image=model.container_spec.image_uri,
    )


def _tuning_job(job: Any) -> Found:
    return Found(
        name=job.name,
        display_name=job.tuned_model_display_name,
        labels=dict(job.labels),
        create_time=drop_impossible(job.create_time),
        state=job_state(job),
        base_model=short_name(job.base_model),
        folder=job.output_uri,
        result=job.tuned_model.model,
    )


def _custom_job(job: Any) -> Found:
    pools = job.job_spec.worker_pool_specs
    return Found(
        name=job.name,
        display_name=job.display_name,
        labels=dict(job.labels),
        create_time=drop_impossible(job.create_time),
        state=job_state(job),
        folder=job.job_spec.base_output_directory.output_uri_prefix,
        image=next((pool.container_spec.image_uri for pool in pools if pool.container_spec.image_uri), ""),
        machines=tuple(_machines(pool.machine_spec, pool.replica_count, pool.replica_count) for pool in pools),
    )


LISTS = {
    ENDPOINT: Source("endpoint_service", "list_endpoints", types.ListEndpointsRequest, _endpoint),
    MODEL: Source("model_service", "list_models", types.ListModelsRequest, _model),
    TUNING_JOB: Source(
        "gen_ai_tuning_service", "list_tuning_jobs", types.ListTuningJobsRequest, _tuning_job, has_filter=True
    ),
    CUSTOM_JOB: Source("job_service", "list_custom_jobs", types.ListCustomJobsRequest, _custom_job, has_filter=True),
}
