"""What a job, a deployment or the whole project is to be checked for."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from django.conf import settings

from jobs.models import PublisherModel
from jobs.services.catalogue import regions, training_machines

from .lines import Subject


def of_project() -> Subject:
    """Everything that is configured, and no machine in particular."""
    return Subject(
        location=settings.VERTEX_LOCATION,
        serving_location=regions.default_serving_region(),
        bucket=_bucket_of(settings.VERTEX_BUCKET),
    )


def of_training(
    base_model: str, output_uri: str, location: str = "", training_machine: str = "", data: Iterable[str] = ()
) -> Subject:
    """`data`: the objects that it reads."""
    machine = training_machines.list_machines().get(training_machine)
    return Subject(
        location=location or settings.VERTEX_LOCATION,
        bucket=_bucket_of(output_uri),
        base_model=base_model,
        training_accelerator=machine.accelerator_type if machine else "",
        data_buckets=tuple(sorted({_bucket_of(uri) for uri in data} - {_bucket_of(output_uri), ""})),
    )


def of_deployment(base_model: str, machine_type: str, replicas: int, location: str = "") -> Subject:
    return add_deployment(Subject(base_model=base_model), machine_type, replicas, location)


def add_deployment(subject: Subject, machine_type: str, replicas: int, location: str = "") -> Subject:
    """`replicas`: at the most. Without a machine, Vertex AI chooses one, whose accelerators nobody knows. `location`
    empty, or none where models are served: the one that is proposed first."""
    model = PublisherModel.objects.filter(name=subject.base_model).first()
    specs = model.data.get("machine_specs", ()) if model else ()
    machine: dict[str, Any] = next((one for one in specs if one["machine_type"] == machine_type), {})
    count = int(machine.get("accelerator_count") or 0) * max(1, replicas)
    return replace(
        subject,
        serving_location=location if location not in ("", *regions.NO_REGIONS) else regions.default_serving_region(),
        machine_type=machine_type,
        accelerator_type=machine.get("accelerator_type", "") if count else "",
        accelerators=count,
    )


def _bucket_of(uri: str) -> str:
    return "/".join(uri.split("/")[:3])
