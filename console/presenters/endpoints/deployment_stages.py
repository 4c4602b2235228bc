"""The stages of a deployment as Vertex AI reported them, with the time each one took."""

from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone
from django.utils.functional import Promise

from console.templatetags.endpoints import STAGES
from jobs.models import Endpoint
from jobs.states import EndpointState

LAST = "SUCCESSFULLY_DEPLOYED"
BROKEN = frozenset({"FAILED_TO_DEPLOY", "DEPLOYMENT_TERMINATED"})
ORDER = [stage for stage in STAGES if stage not in BROKEN]


@dataclass(frozen=True)
class Stage:
    """`state`: done, current, stopped or todo. `seconds` until the next stage began, or until now."""

    label: str | Promise
    state: str
    began: datetime | None = None
    seconds: float | None = None


def stages(endpoint: Endpoint) -> list[Stage]:
    """Those that were reported, then those to come. One that was skipped is not shown."""
    seen = [(stage, datetime.fromisoformat(moment)) for stage, moment in endpoint.stage_times]
    ends = [*(moment for _stage, moment in seen[1:]), timezone.now()]
    done = [_seen(endpoint, stage, began, end) for (stage, began), end in zip(seen, ends, strict=False)]
    return [*done, *(Stage(STAGES[stage], "todo") for stage in _ahead(endpoint))]


def _seen(endpoint: Endpoint, stage: str, began: datetime, end: datetime) -> Stage:
    label = STAGES.get(stage, stage.replace("_", " ").capitalize())
    if stage in BROKEN:
        return Stage(label, "stopped", began)
    is_last = stage == endpoint.stage
    if is_last and endpoint.state == EndpointState.DEPLOYING and stage != LAST:
        return Stage(label, "current", began, (end - began).total_seconds())
    return Stage(label, "done", began, None if is_last else (end - began).total_seconds())


def _ahead(endpoint: Endpoint) -> list[str]:
    if endpoint.state != EndpointState.DEPLOYING:
        return []
    if endpoint.stage in ORDER:
        return ORDER[ORDER.index(endpoint.stage) + 1 :]
    return [] if endpoint.stage else ORDER
