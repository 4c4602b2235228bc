"""A job, or the answers of a file, as the raw values of the forms that make one."""

from collections.abc import Mapping
from typing import Any

from console.forms.tuning.steps import BASE, TUNED
from console.forms.tuning.training import ABSOLUTE
from jobs.models import Dataset, TuningJob
from jobs.models.fields.labels import as_text
from jobs.services.tuned_models import checkpoints, policies
from jobs.services.tuning.code import plain
from jobs.services.tuning.job_files import FIELDS


def draft_values(job: TuningJob) -> dict[str, dict[str, Any]]:
    """The output folder is left out: each job has its own."""
    answers = {name: getattr(job, name) for fields in FIELDS.values() for name in fields}
    values = raw_values(answers)
    del values["output"]
    return values


def continued_values(job: TuningJob, checkpoint: str) -> dict[str, dict[str, Any]]:
    """The same settings once more, from the weights of a checkpoint on."""
    policies.check_can_continue(job, checkpoint)
    values = draft_values(job)
    values["base-model"] |= {"source": TUNED, "custom_base_model": checkpoints.folder(job, checkpoint)}
    return values


def raw_values(answers: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """`answers` by column of a job, datasets as rows."""
    return {
        "name": {
            "display_name": answers["display_name"],
            "description": answers["description"],
            "labels": as_text(answers["labels"]),
        },
        "base-model": {
            "source": TUNED if answers["custom_base_model"] else BASE,
            "base_model": answers["base_model"],
            "custom_base_model": answers["custom_base_model"],
            "location": answers["location"],
        },
        "output": {"output_uri": answers["output_uri"]},
        "training": {
            "dataset": _key(answers["dataset"]),
            "use_validation": bool(answers["validation_dataset"]),
            "validation_dataset": _key(answers["validation_dataset"]),
            "epochs": str(answers["epochs"]),
            "learning_rate_kind": ABSOLUTE,
            "learning_rate": plain(answers["learning_rate"]),
            "learning_rate_multiplier": "1",
            "tuning_mode": answers["tuning_mode"],
            "adapter_size": _text(answers["adapter_size"]),
            "batch_size": _text(answers["batch_size"]),
            "export_last_checkpoint_only": answers["export_last_checkpoint_only"],
        },
        "deployment": {
            "auto_deploy": answers["auto_deploy"],
            "endpoint_display_name": answers["endpoint_display_name"],
            "machine_type": answers["machine_type"],
            "endpoint_lease_hours": _text(answers["endpoint_lease_hours"]),
            "endpoint_min_replicas": str(answers["endpoint_min_replicas"]),
            "endpoint_max_replicas": str(answers["endpoint_max_replicas"]),
        },
    }


def _key(dataset: Dataset | None) -> str:
    return str(dataset.pk) if dataset else ""


def _text(number: int | None) -> str:
    return "" if number is None else str(number)
