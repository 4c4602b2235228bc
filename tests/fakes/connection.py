from datetime import datetime
from typing import TYPE_CHECKING

from jobs.vertex.machine import Gpu
from jobs.vertex.values import Credentials
from tests.fakes.base import Part, remote

if TYPE_CHECKING:
    from tests.fakes import FakeGateway


class FakeConnection(Part):
    """`server_time` is what the server's clock shows; None: it does not tell."""

    noun = "connection"

    def __init__(self, world: "FakeGateway") -> None:
        super().__init__(world)
        self.server_time: datetime | None = None
        self.gpus: list[Gpu] = []

    @remote
    def credentials(self) -> Credentials:
        return Credentials("none")

    @remote
    def look(self) -> datetime | None:
        return self.server_time

    @remote
    def list_gpus(self) -> list[Gpu]:
        return self.gpus
