"""The checkpoints of a job as rows: the figures at their steps, and what can be done with each."""

from collections.abc import Mapping
from dataclasses import dataclass

from jobs.models import Endpoint, Metric
from jobs.services.tuned_models import checkpoints, policies
from jobs.states import EndpointState

from .progress import JobStand

FIGURES = {
    "train_loss": "/train_total_loss",
    "eval_loss": "/eval_total_loss",
    "accuracy": "/eval_fraction_of_correct_next_step_preds",
}


@dataclass(frozen=True)
class CheckpointRow:
    """Figures are None where none were recorded at that very step. `endpoint` serves this checkpoint."""

    id: str
    epoch: int
    step: int
    figures: Mapping[str, float | None]
    folder: str
    is_default: bool
    why_not_deploy: str
    why_not_continue: str
    endpoint: Endpoint | None

    @property
    def is_ready(self) -> bool:
        return self.endpoint is not None and self.endpoint.state == EndpointState.READY


def checkpoint_rows(stand: JobStand) -> list[CheckpointRow]:
    job = stand.job
    figures = figures_at(stand)
    default = checkpoints.default_id(job) if job.is_tuned else job.default_checkpoint
    live = [endpoint for endpoint in reversed(stand.endpoints) if policies.is_live(endpoint)]
    serving = {endpoint.model.artifact_uri: endpoint for endpoint in live}
    rows = []
    for one in job.checkpoints:
        pk, folder = one["checkpoint_id"], checkpoints.folder(job, one["checkpoint_id"])
        rows.append(
            CheckpointRow(
                id=pk,
                epoch=one["epoch"],
                step=one["step"],
                figures={name: figures.get(one["step"], {}).get(name) for name in FIGURES},
                folder=folder,
                is_default=pk == default,
                why_not_deploy=policies.why_not_deploy_checkpoint(job, pk),
                why_not_continue=policies.why_not_continue(job, pk),
                endpoint=next((serving[one] for one in checkpoints.folders(job, pk) if one in serving), None),
            )
        )
    return rows


def figures_at(stand: JobStand) -> dict[int, dict[str, float]]:
    names = {tag: name for name, tag in FIGURES.items()}
    steps = [one["step"] for one in stand.job.checkpoints]
    found: dict[int, dict[str, float]] = {}
    if not steps:
        return found
    points = Metric.objects.filter(job=stand.job, tag__in=list(names), step__in=steps).order_by()
    for tag, step, value in points.values_list("tag", "step", "value"):
        found.setdefault(step, {})[names[tag]] = value
    return found
