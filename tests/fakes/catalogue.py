from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from jobs.vertex.errors import NO_TOOLS, LicenceRequired, NotFound, Refused
from jobs.vertex.machine import Memory, Pace
from jobs.vertex.values import CatalogueModel
from tests.fakes.base import GEMMA_27B, GEMMA_270M, MACHINES, TINY, Part, remote

if TYPE_CHECKING:
    from tests.fakes import FakeGateway


class FakeCatalogue(Part):
    noun = "catalogue"

    def __init__(self, world: "FakeGateway") -> None:
        super().__init__(world)
        self.models = {
            name: CatalogueModel(
                name=name,
                display_name=title,
                launch_stage="GA",
                overview="",
                machine_specs=machines,
                can_tune=bool(machines),
                licence="" if name == TINY else "Gemma Terms of Use",
                sample_request={"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 100},
            )
            for name, title, machines in [
                (GEMMA_270M, "Gemma 3 270M", MACHINES),
                (GEMMA_27B, "Gemma 3 27B Instruct", ()),
                (TINY, "Tiny", MACHINES),
            ]
        }
        self.acknowledged: set[str] = set()
        # Beside those that tell a licence.
        self.unaccepted: set[str] = set()
        self.counter: Callable[[Sequence[Mapping[str, Any]]], int] | None = None
        self.paces: dict[str, Pace] = {}
        self.of_machine: Memory | None = None
        self.weights = {"config.json": b"{}", "model.safetensors": b"W" * 3000}

    @remote
    def list_models(self) -> list[CatalogueModel]:
        return list(self.models.values())

    @remote
    def count_tokens(self, model: str, rows: Sequence[Mapping[str, Any]]) -> int | None:
        if any("tools" in row for row in rows):
            raise Refused("The chat template of this model knows no tools.", NO_TOOLS)
        return self.counter(rows) if self.counter else None

    @remote
    def export_weights(self, model: str, uri: str) -> str:
        self.known(model)
        return self.world.deployment.begin_export(lambda: self._write_weights(uri))

    def _write_weights(self, uri: str) -> None:
        self.world.storage.objects |= {f"{uri}/{name}": content for name, content in self.weights.items()}

    @remote
    def training_paces(self, model: str) -> dict[str, Pace]:
        return self.paces

    @remote
    def memory(self, model: str) -> Memory | None:
        return self.of_machine

    @remote
    def licence_acknowledged(self, model: str) -> bool:
        asks = bool(self.known(model).licence) or model in self.unaccepted
        return not asks or model in self.acknowledged

    @remote
    def acknowledge_licence(self, model: str) -> None:
        self.acknowledged.add(self.known(model).name)

    def known(self, model: str) -> CatalogueModel:
        if model not in self.models:
            raise NotFound(f"Publisher model {model} does not exist.", "NOT_FOUND")
        return self.models[model]

    def require_licence(self, model: str) -> None:
        if self.models[model].licence and model not in self.acknowledged:
            raise LicenceRequired(f"Accept the licence of {model} first.", "FAILED_PRECONDITION")
