"""The list of tuned models."""

from typing import Any

from django.db.models import F

from console.presenters.components.word_search import match_words
from jobs.models import DeployedModelQuerySet, TuningJob
from jobs.models.tuning import TuningJobQuerySet
from jobs.services.tuned_models import checkpoints


def matching(jobs: TuningJobQuerySet, text: str) -> TuningJobQuerySet:
    return match_words(jobs, text, "display_name", "base_model", "tuned_model")


def default_checkpoint(job: TuningJob) -> dict[str, Any] | None:
    """What a deployment takes: the one that was chosen, else the last, whose weights are those of `final`."""
    chosen = checkpoints.default_id(job)
    return next((one for one in job.checkpoints if one["checkpoint_id"] == chosen), None)


def other_deployments(job: TuningJob) -> DeployedModelQuerySet:
    """Where the model serves beside the one that the endpoint stands for."""
    return job.deployed_models.live().exclude(endpoint__main_model=F("pk")).select_related("endpoint")
