"""What a job was reckoned to take and what it took, for its page."""

from decimal import Decimal
from typing import Any

from django.conf import settings

from jobs.models import TuningJob
from jobs.models.fields.labels import as_text
from jobs.services.costs import estimates
from jobs.services.tuned_models import continuation

from .code import code_of


def figures_context(job: TuningJob) -> dict[str, Any]:
    """Needs the job's datasets at hand; one query when it went on from another job."""
    return {
        "figures": {
            "estimated": load_estimate(job),
            "actual": estimates.figures(job),
            "is_local": bool(settings.VERTEX_API_ENDPOINT),
        },
        "labels_text": as_text(job.labels),
        "continued_job": continuation.job_behind(job),
        "code": code_of(job),
    }


def load_estimate(job: TuningJob) -> dict[str, Any]:
    """As it was kept when the job was made; a job of an earlier version has none."""
    cost = job.estimate.get("cost_usd")
    return job.estimate | {"cost_usd": None if cost is None else Decimal(cost)} if job.estimate else {}
