"""A deployed model, and the llama.cpp child that answers for it now."""

import time
from dataclasses import dataclass, field
from pathlib import Path

from jobs.localvertex.api.wire import Json
from jobs.localvertex.memory.serving import MEGABYTE
from jobs.localvertex.serving.llama import Child, Plan

ANSWERING, STARTING, ASLEEP, FAILED = "answering", "starting", "asleep", "failed"


@dataclass
class Served:
    """A deployed model. It has at most one child; `busy` counts who needs it now, and keeps it."""

    plan: Plan
    folder: Path
    need: int
    child: Child | None = None
    busy: int = 0
    used: float = field(default_factory=time.monotonic)
    failures: int = 0
    retry_at: float = 0.0
    trouble: str = ""
    gone: bool = False

    @property
    def ready(self) -> bool:
        child = self.child
        return child is not None and child.ready

    @property
    def state(self) -> str:
        child = self.child
        if child is not None and child.alive:
            return ANSWERING if child.ready else STARTING
        return FAILED if self.trouble else ASLEEP


def describe(served: Served) -> Json:
    facts: Json = {"name": served.plan.name, "state": served.state, "needs_mb": to_megabytes(served.need)}
    if served.child is not None:
        facts["resident_mb"] = to_megabytes(served.child.resident())
    return facts if not served.trouble else facts | {"message": served.trouble}


def to_megabytes(size: int) -> int:
    return -(-size // MEGABYTE)
