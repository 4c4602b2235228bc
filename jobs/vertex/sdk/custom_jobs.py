"""Custom jobs that train in a container of the project's own. They are answered as tuning jobs are."""

from collections.abc import Iterable
from functools import partial
from typing import Any

from django.conf import settings
from google.cloud.aiplatform_v1beta1 import types

from jobs.text.deferred import gettext as _
from jobs.vertex.errors import OutcomeUnknown
from jobs.vertex.moments import drop_impossible
from jobs.vertex.values import CustomJobSpec, RemoteTuningJob

from . import clients
from .messages import job_state, remote_error
from .tuning import creation_time

SERVICE = "job_service"


class CustomJobs:
    def create(self, spec: CustomJobSpec) -> RemoteTuningJob:
        bucket = spec.output_uri.removeprefix("gs://").partition("/")[0]
        make = partial(_request, spec)
        job = clients.create(SERVICE, "create_custom_job", make, bucket=bucket, location=spec.location)
        if not job.name:
            raise OutcomeUnknown(_("Vertex AI returned no custom job name."), "UNKNOWN")
        return _job(job)

    def get(self, name: str) -> RemoteTuningJob:
        client = clients.client(SERVICE, clients.location_of(name))
        return _job(clients.ask(client.get_custom_job, types.GetCustomJobRequest(name=name)))

    def find(
        self, label: str, value: str, locations: Iterable[str] = (), *, is_thorough: bool = False
    ) -> list[RemoteTuningJob]:
        """No custom job is in `global`. Their filter is documented: what it doesn't find isn't there, unless that was
        made a moment ago."""
        regions = dict.fromkeys(one for one in (settings.VERTEX_LOCATION, *locations) if one != "global")
        wanted = "" if is_thorough else f"labels.{label}={value}"
        jobs = [job for region in regions for job in _list_jobs(region, wanted) if job.labels.get(label) == value]
        return sorted(map(_job, jobs), key=creation_time)

    def cancel(self, name: str) -> None:
        client = clients.client(SERVICE, clients.location_of(name))
        clients.ask(client.cancel_custom_job, types.CancelCustomJobRequest(name=name))


def _list_jobs(location: str, wanted: str) -> list[Any]:
    request = types.ListCustomJobsRequest(
        parent=clients.parent(location), filter=wanted, page_size=settings.VERTEX_PAGE_SIZE
    )
    return clients.all_pages(clients.client(SERVICE, location).list_custom_jobs, request)


def _request(spec: CustomJobSpec) -> Any:
    return types.CreateCustomJobRequest(parent=clients.parent(spec.location), custom_job=_message(spec))


def _message(spec: CustomJobSpec) -> Any:
    pool = types.WorkerPoolSpec(
        machine_spec=types.MachineSpec(
            machine_type=spec.machine.machine_type,
            accelerator_type=spec.machine.accelerator_type,
            accelerator_count=spec.machine.accelerator_count,
        ),
        replica_count=1,
        container_spec=types.ContainerSpec(
            image_uri=spec.image,
            args=list(spec.arguments),
            env=[types.EnvVar(name=name, value=value) for name, value in spec.environment.items()],
        ),
        disk_spec=types.DiskSpec(boot_disk_type="pd-ssd", boot_disk_size_gb=spec.disk_gigabytes),
    )
    job_spec = types.CustomJobSpec(
        worker_pool_specs=[pool],
        scheduling=types.Scheduling(restart_job_on_worker_restart=True),
        base_output_directory=types.GcsDestination(output_uri_prefix=spec.output_uri),
        service_account=spec.service_account,
    )
    return types.CustomJob(display_name=spec.display_name, labels=dict(spec.labels), job_spec=job_spec)


def _job(job: Any) -> RemoteTuningJob:
    return RemoteTuningJob(
        name=job.name,
        state=job_state(job),
        labels=dict(job.labels),
        display_name=job.display_name,
        create_time=drop_impossible(job.create_time),
        start_time=drop_impossible(job.start_time),
        end_time=drop_impossible(job.end_time),
        error=remote_error(job.error),
        experiment="",
        tuned_model="",
        checkpoints=(),
        total_steps=None,
        data_stats={},
    )
