"""The stages of a deployment as Vertex AI reported them, with the time each one took."""

from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.utils import timezone
from django.utils.functional import Promise

from console.templatetags.endpoints import STAGES
from jobs.models import DeployedModel
from jobs.states import DeployedState

LAST = "SUCCESSFULLY_DEPLOYED"
BROKEN = frozenset({"FAILED_TO_DEPLOY", "DEPLOYMENT_TERMINATED"})
ORDER = [stage for stage in STAGES if stage not in BROKEN]
# What a computer that serves the model itself has no need of.
OF_MACHINES = frozenset({"CREATING_SERVING_CLUSTER", "ADDING_NODES_TO_CLUSTER", "GETTING_CONTAINER_IMAGE"})


@dataclass(frozen=True)
class Stage:
    """`state`: done, current, stopped or todo. `seconds` until the next stage began, or until now."""

    label: str | Promise
    state: str
    began: datetime | None = None
    seconds: float | None = None


def stages(model: DeployedModel) -> list[Stage]:
    """Those that were reported, then those to come. One that was skipped is not shown."""
    seen = [(stage, datetime.fromisoformat(moment)) for stage, moment in model.stage_times]
    ends = [*(moment for _stage, moment in seen[1:]), timezone.now()]
    done = [_describe_stage(model, stage, began, end) for (stage, began), end in zip(seen, ends, strict=False)]
    return [*done, *(Stage(STAGES[stage], "todo") for stage in _ahead(model))]


def _describe_stage(model: DeployedModel, stage: str, began: datetime, end: datetime) -> Stage:
    label = STAGES.get(stage, stage.replace("_", " ").capitalize())
    if stage in BROKEN:
        return Stage(label, "stopped", began)
    is_last = stage == model.stage
    if is_last and model.state == DeployedState.DEPLOYING and stage != LAST:
        return Stage(label, "current", began, (end - began).total_seconds())
    return Stage(label, "done", began, None if is_last else (end - began).total_seconds())


def _ahead(model: DeployedModel) -> list[str]:
    if model.state != DeployedState.DEPLOYING:
        return []
    if model.stage and model.stage not in ORDER:
        return []
    ahead = ORDER[ORDER.index(model.stage) + 1 :] if model.stage else ORDER
    return [stage for stage in ahead if not (settings.VERTEX_API_ENDPOINT and stage in OF_MACHINES)]
