from typing import Any

from jobs.models import TuningJob

from .proposals import plain


def draft_values(job: TuningJob) -> dict[str, dict[str, Any]]:
    """A job as the raw values of the forms that make one. The output folder is left out: each job has its own."""
    return {
        "name": {"display_name": job.display_name, "description": job.description},
        "base-model": {"base_model": job.base_model},
        "training": {
            "dataset": str(job.dataset_id),
            "use_validation": bool(job.validation_dataset_id),
            "validation_dataset": str(job.validation_dataset_id or ""),
            "epochs": str(job.epochs),
            "learning_rate": plain(job.learning_rate),
            "tuning_mode": job.tuning_mode,
            "adapter_size": str(job.adapter_size or ""),
            "batch_size": str(job.batch_size or ""),
            "export_last_checkpoint_only": job.export_last_checkpoint_only,
        },
        "deployment": {
            "auto_deploy": job.auto_deploy,
            "endpoint_display_name": job.endpoint_display_name,
            "machine_type": job.machine_type,
        },
    }
