"""A training in a container for other hands, as `jobs.services.tuning.code` has a tuning job."""

from typing import Any

from django.conf import settings

from jobs.models import TuningJob
from jobs.services.catalogue import training_machines
from jobs.services.tuning.spec import TuningSpec

from .request import disk_gigabytes, environment, list_arguments


def body(job: TuningJob | TuningSpec) -> dict[str, Any]:
    """Of `customJobs`, without the console's own labels."""
    machine = training_machines.list_machines()[job.training_machine]
    variables = [{"name": name, "value": value} for name, value in environment().items()]
    container = {"imageUri": _image(job), "args": list_arguments(job), **({"env": variables} if variables else {})}
    spec: dict[str, Any] = {
        "workerPoolSpecs": [
            {
                "machineSpec": {
                    "machineType": machine.machine_type,
                    "acceleratorType": machine.accelerator_type,
                    "acceleratorCount": 1,
                },
                "replicaCount": "1",
                "diskSpec": {"bootDiskType": "pd-ssd", "bootDiskSizeGb": disk_gigabytes(job)},
                "containerSpec": container,
            }
        ],
        "scheduling": {"restartJobOnWorkerRestart": True},
        "baseOutputDirectory": {"outputUriPrefix": job.output_uri},
    }
    if settings.VERTEX_TRAINER_ACCOUNT:
        spec["serviceAccount"] = settings.VERTEX_TRAINER_ACCOUNT
    labels = {"labels": dict(job.labels)} if job.labels else {}
    return {"displayName": job.display_name, **labels, "jobSpec": spec}


def python(job: TuningJob | TuningSpec, location: str) -> str:
    found = body(job)
    pool = found["jobSpec"]["workerPoolSpecs"][0]
    machine, container = pool["machineSpec"], pool["containerSpec"]
    endpoint = settings.VERTEX_API_ENDPOINT
    account = found["jobSpec"].get("serviceAccount", "")
    lines = [
        "from google.cloud import aiplatform",
        *(["from google.auth.credentials import AnonymousCredentials"] if endpoint else []),
        "",
        "aiplatform.init(",
        f"    project={settings.VERTEX_PROJECT!r},",
        f"    location={location!r},",
        f"    staging_bucket={'/'.join(job.output_uri.split('/')[:3])!r},",
        *([f"    api_endpoint={endpoint!r},", '    api_transport="rest",'] if endpoint else []),
        *(["    credentials=AnonymousCredentials(),"] if endpoint else []),
        ")",
        "job = aiplatform.CustomJob(",
        f"    display_name={found['displayName']!r},",
        *([f"    labels={found['labels']!r},"] if "labels" in found else []),
        f"    base_output_dir={job.output_uri!r},",
        "    worker_pool_specs=[{",
        '        "machine_spec": {',
        f'            "machine_type": {machine["machineType"]!r},',
        f'            "accelerator_type": {machine["acceleratorType"]!r},',
        '            "accelerator_count": 1,',
        "        },",
        '        "replica_count": 1,',
        f'        "disk_spec": {{"boot_disk_type": "pd-ssd", "boot_disk_size_gb": {disk_gigabytes(job)}}},',
        '        "container_spec": {',
        f'            "image_uri": {container["imageUri"]!r},',
        *([f'            "env": {container["env"]!r},'] if "env" in container else []),
        '            "args": [',
        *(f"                {argument!r}," for argument in container["args"]),
        "            ],",
        "        },",
        "    }],",
        ")",
        f"job.submit({f'service_account={account!r}, ' if account else ''}restart_job_on_worker_restart=True)",
        "print(job.resource_name)",
    ]
    return "\n".join(lines) + "\n"


def _image(job: TuningJob | TuningSpec) -> str:
    """The job's own, or for a draft the one that is configured."""
    return (job.trainer_image if isinstance(job, TuningJob) else "") or settings.VERTEX_TRAINER_IMAGE
