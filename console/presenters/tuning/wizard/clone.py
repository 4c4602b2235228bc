"""A job, or the answers of a file, as the raw values of the forms that make one."""

from collections.abc import Mapping
from typing import Any

from console.forms.endpoints.serving_options import raw_options
from console.forms.tuning.steps import BASE, TUNED
from console.forms.tuning.training import ABSOLUTE
from jobs.models import Dataset, TuningJob
from jobs.models.fields.labels import as_text
from jobs.services.endpoints.policies import SERVING
from jobs.services.tuned_models.continuation import Start
from jobs.services.tuning.job_files import FIELDS
from jobs.text.numbers import plain


def draft_values(job: TuningJob) -> dict[str, dict[str, Any]]:
    """The output folder is left out: each job has its own."""
    answers = {name: getattr(job, name) for fields in FIELDS.values() for name in fields}
    values = raw_values(answers)
    del values["output"]
    return values


def continued_values(start: Start) -> dict[str, dict[str, Any]]:
    """A job that goes on from there, with the settings of the one that it continues."""
    values = draft_values(start.job)
    values["base-model"] |= {"source": TUNED, "custom_base_model": start.uri}
    values["training"]["epochs"] = str(start.epochs_left)
    return values


def rename(values: dict[str, dict[str, Any]], name: str) -> None:
    """The endpoint, too, where it has the name of the job: that of the other job may stand beside it."""
    if values["deployment"]["endpoint_display_name"] == values["name"]["display_name"]:
        values["deployment"]["endpoint_display_name"] = name
    values["name"]["display_name"] = name


def raw_values(answers: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """`answers` by column of a job, datasets and the endpoint as rows. An endpoint that is over is none."""
    endpoint = answers["deploy_endpoint"]
    if endpoint and endpoint.state not in SERVING:
        endpoint = None
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
            "warmup_ratio": _decimal(answers["warmup_ratio"]),
            "lr_scheduler_type": answers["lr_scheduler_type"],
            "weight_decay": _decimal(answers["weight_decay"]),
            "seed": _text(answers["seed"]),
            "max_seq_length": _text(answers["max_seq_length"]),
            "training_machine": answers["training_machine"],
            "quantization": answers["quantization"],
        },
        "deployment": {
            "auto_deploy": answers["auto_deploy"],
            "endpoint_display_name": answers["endpoint_display_name"] or _name_beside(answers),
            "deploy_endpoint": str(endpoint.pk) if endpoint else "",
            "endpoint_share": str(answers["endpoint_share"]),
            "machine_type": answers["machine_type"],
            "endpoint_lease_hours": _text(answers["endpoint_lease_hours"]),
            "endpoint_min_replicas": str(answers["endpoint_min_replicas"]),
            "endpoint_max_replicas": str(answers["endpoint_max_replicas"]),
            **raw_options(answers["endpoint_options"]),
        },
    }


def _name_beside(answers: Mapping[str, Any]) -> str:
    """Proposed for a new endpoint in the place of one that exists."""
    return str(answers["display_name"]) if answers["deploy_endpoint"] else ""


def _key(dataset: Dataset | None) -> str:
    return str(dataset.pk) if dataset else ""


def _text(number: int | None) -> str:
    return "" if number is None else str(number)


def _decimal(number: float | None) -> str:
    return "" if number is None else plain(number)
