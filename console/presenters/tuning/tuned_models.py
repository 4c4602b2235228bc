"""The list of tuned models."""

from typing import Any

from django.db.models import F, Q

from jobs.models import DeployedModelQuerySet, TuningJob
from jobs.models.tuning import TuningJobQuerySet
from jobs.services.tuned_models import checkpoints


def matching(jobs: TuningJobQuerySet, text: str) -> TuningJobQuerySet:
    for word in text.split():
        found = Q(display_name__icontains=word) | Q(base_model__icontains=word) | Q(tuned_model__icontains=word)
        jobs = jobs.filter(found)
    return jobs


def default_checkpoint(job: TuningJob) -> dict[str, Any] | None:
    """What a deployment takes: the one that was chosen, else the last, whose weights are those of `final`."""
    chosen = checkpoints.default_id(job)
    return next((one for one in job.checkpoints if one["checkpoint_id"] == chosen), None)


def other_deployments(job: TuningJob) -> DeployedModelQuerySet:
    """Where the model serves beside the one that the endpoint stands for."""
    return job.deployed_models.live().exclude(endpoint__main_model=F("pk")).select_related("endpoint")
