"""An in-memory Vertex AI with the gateway's surface; tests/contract proves that it behaves like the real gateway.

Nothing moves by itself: a test says `gateway.tuning.start(name)`, `gateway.deployment.finish(operation)`, or makes the
gateway `automatic`, and then every read of a job or operation moves it one notch. `gateway.ledger` holds every paid
create, whatever the caller was told about it; `gateway.calls` every call, as "tuning.create".
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from jobs.vertex.errors import NotSent, OutcomeUnknown, OverQuota, Refused, Unavailable, VertexError
from tests.fakes.base import (
    BUCKET,
    CREATES,
    GEMMA_27B,
    GEMMA_270M,
    LOCATION,
    PARENT,
    PROJECT,
    STAGES,
    TERMINAL,
    TINY,
    Crash,
    Creation,
    Fault,
)
from tests.fakes.catalogue import FakeCatalogue
from tests.fakes.chat import FakeChat
from tests.fakes.connection import FakeConnection
from tests.fakes.deployment import FakeDeployment
from tests.fakes.imports import FakeImports
from tests.fakes.inventory import FakeInventory
from tests.fakes.observability import FakeLogs, FakeMonitoring
from tests.fakes.project import FakeProject
from tests.fakes.storage import FakeStorage
from tests.fakes.tuning import FakeCustomJobs, FakeMetrics, FakeTuning

__all__ = [
    "BUCKET",
    "GEMMA_270M",
    "GEMMA_27B",
    "LOCATION",
    "PARENT",
    "PROJECT",
    "STAGES",
    "TERMINAL",
    "TINY",
    "Crash",
    "Creation",
    "FakeGateway",
]


@dataclass
class FakeGateway:
    automatic: bool = False
    ledger: list[Creation] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    faults: dict[str, list[Fault]] = field(default_factory=dict)
    hooks: dict[str, list[Callable[[], None]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._now = datetime.now(UTC)
        self.connection = FakeConnection(self)
        self.project = FakeProject(self)
        self.catalogue = FakeCatalogue(self)
        self.storage = FakeStorage(self)
        self.tuning = FakeTuning(self)
        self.custom_jobs: FakeCustomJobs = FakeCustomJobs(self)
        self.metrics = FakeMetrics(self)
        self.logs = FakeLogs(self)
        self.monitoring = FakeMonitoring(self)
        self.deployment = FakeDeployment(self)
        self.imports = FakeImports(self)
        self.inventory = FakeInventory(self)
        self.chat = FakeChat(self)

    def creates(self, kind: str = "") -> list[str]:
        return [creation.name for creation in self.ledger if kind in ("", creation.kind)]

    def during(self, method: str, action: Callable[[], None]) -> None:
        """Runs `action` inside every call of "noun.method", before it has an effect."""
        self.hooks.setdefault(method, []).append(action)

    def fail(self, method: str, error: BaseException, *, after: bool = False, times: int = 1) -> None:
        """The next `times` calls of "noun.method" raise `error`, before or after they took effect."""
        self.faults.setdefault(method, []).append(Fault(error, after, times))

    def not_sent(self, method: str, times: int = 1) -> None:
        error = NotSent("Vertex AI could not be reached.") if method in CREATES else _unavailable()
        self.fail(method, error, times=times)

    def drop_before(self, method: str, times: int = 1) -> None:
        """The connection broke, and the server had done nothing; the caller cannot know."""
        self.fail(method, _lost(method), times=times)

    def drop_after(self, method: str, times: int = 1) -> None:
        """The server did it, and the reply was lost."""
        self.fail(method, _lost(method), after=True, times=times)

    def refuse(self, method: str, message: str = "No.", code: str = "INVALID_ARGUMENT", times: int = 1) -> None:
        self.fail(method, Refused(message, code), times=times)

    def unavailable(self, method: str, times: int = 1) -> None:
        self.fail(method, _unavailable(), times=times)

    def over_quota(self, method: str, times: int = 1) -> None:
        message = "Quota exceeded: GlobalConcurrentManagedOssModelTuningJobs."
        self.fail(method, OverQuota(message, "RESOURCE_EXHAUSTED"), times=times)

    def crash(self, method: str, *, after: bool = True) -> None:
        self.fail(method, Crash(method), after=after)

    def take_fault(self, method: str) -> Fault | None:
        for fault in self.faults.get(method, []):
            if fault.times > 0:
                fault.times -= 1
                return fault
        return None

    def tick(self) -> datetime:
        """A clock of its own, so that no two events are of the same time."""
        self._now += timedelta(seconds=1)
        return self._now


def _unavailable() -> VertexError:
    return Unavailable("Vertex AI does not answer.", "UNAVAILABLE")


def _lost(method: str) -> VertexError:
    return OutcomeUnknown("The connection broke before an answer came.") if method in CREATES else _unavailable()
