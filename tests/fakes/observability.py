from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from jobs.vertex.values import LogLine, Traffic
from tests.fakes.base import Part, remote

if TYPE_CHECKING:
    from tests.fakes import FakeGateway


class FakeLogs(Part):
    """`lines` by the resource's name: what Cloud Logging has of it."""

    noun = "logs"

    def __init__(self, world: "FakeGateway") -> None:
        super().__init__(world)
        self.lines: dict[str, list[str]] = {}

    @remote
    def of_job(self, name: str, since: datetime, most: int) -> list[LogLine]:
        return self._newest(name, most)

    @remote
    def of_endpoint(self, name: str, since: datetime, most: int) -> list[LogLine]:
        return self._newest(name, most)

    def _newest(self, name: str, most: int) -> list[LogLine]:
        return [LogLine(datetime(2026, 11, 30, tzinfo=UTC), text) for text in self.lines.get(name, [])[-most:]]


class FakeMonitoring(Part):
    """`requests` by the endpoint's name: when each was answered, whether it failed, and after how many seconds."""

    noun = "monitoring"

    def __init__(self, world: "FakeGateway") -> None:
        super().__init__(world)
        self.requests: dict[str, list[tuple[datetime, bool, float]]] = {}

    @remote
    def traffic(self, endpoint: str, begin: datetime, part: timedelta, parts: int) -> list[Traffic]:
        edges = [begin + part * number for number in range(parts)]
        return [self._part(endpoint, edge, edge + part) for edge in edges]

    def _part(self, endpoint: str, begin: datetime, end: datetime) -> Traffic:
        found = [one for one in self.requests.get(endpoint, []) if begin < one[0] <= end]
        seconds = sorted(one[2] for one in found)
        return Traffic(
            begin=begin,
            requests=len(found),
            errors=sum(one[1] for one in found),
            latency_p50=seconds[len(seconds) // 2] if seconds else None,
            latency_p95=seconds[-1] if seconds else None,
            replicas=1,
        )
