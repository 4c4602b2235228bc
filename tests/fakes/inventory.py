from collections import defaultdict
from datetime import datetime
from typing import TYPE_CHECKING

from jobs.vertex.errors import Refused
from jobs.vertex.found import ENDPOINT, KINDS, MODEL, TUNING_JOB, Found, FoundModel, FoundPage, Machines
from jobs.vertex.values import RemoteDeployedModel, RemoteEndpoint
from tests.fakes.base import Part, remote

if TYPE_CHECKING:
    from tests.fakes import FakeGateway


class FakeInventory(Part):
    """What the other parts hold, and what `add` puts beside it. `broken` maps regions to what a look at them raises."""

    noun = "inventory"

    def __init__(self, world: "FakeGateway") -> None:
        super().__init__(world)
        self.added: dict[str, list[Found]] = defaultdict(list)
        self.broken: dict[str, Exception] = {}

    @remote
    def list_resources(self, kind: str, location: str, since: datetime, limit: int) -> FoundPage:
        if kind not in KINDS:
            raise Refused(f"Nothing is called {kind}.", "INVALID_ARGUMENT")
        if location in self.broken:
            raise self.broken[location]
        found = [one for one in [*self._held(kind), *self.added[kind]] if one.name.split("/")[3] == location]
        if kind not in (ENDPOINT, MODEL):
            found = [one for one in found if one.create_time is None or one.create_time >= since]
        return FoundPage(tuple(found[:limit]), len(found) <= limit)

    def add(self, kind: str, *found: Found) -> None:
        self.added[kind] += found

    def _held(self, kind: str) -> list[Found]:
        if kind == ENDPOINT:
            return [_endpoint(one) for one in self.world.deployment.endpoints.values()]
        if kind == MODEL:
            return [Found(name, title, {}, None) for name, title in self.world.deployment.models.items()]
        if kind == TUNING_JOB:
            jobs = self.world.tuning.jobs.values()
            return [
                Found(job.name, job.display_name, job.labels, job.create_time, job.state, result=job.tuned_model)
                for job in jobs
            ]
        return []


def _endpoint(one: RemoteEndpoint) -> Found:
    models = tuple(_model(model, one.traffic_split.get(model.id, 0)) for model in one.deployed_models)
    machines = tuple(model.machines for model in models)
    return Found(
        one.name, one.display_name, one.labels, None, dedicated_dns=one.dedicated_dns, models=models, machines=machines
    )


def _model(one: RemoteDeployedModel, share: int) -> FoundModel:
    machine = one.machine
    kind = (machine.machine_type, machine.accelerator_type, machine.accelerator_count) if machine else ("", "", 0)
    machines = Machines(*kind, one.min_replicas or 1, one.max_replicas or 1, one.available_replicas)
    return FoundModel(one.id, one.model, one.display_name, machines, None, share)
