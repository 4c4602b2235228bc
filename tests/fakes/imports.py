from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jobs.vertex.errors import NotFound
from jobs.vertex.hub import Facts, ImportSpec, RemoteImport
from tests.fakes.base import Part, remote

if TYPE_CHECKING:
    from tests.fakes import FakeGateway

FACTS: dict[str, Any] = {
    "source": "acme/Tiny", "title": "Tiny", "revision": "0" * 40, "file": "", "licence": "apache-2.0",
    "licence_url": "", "family": "Llama", "model_type": "llama", "model": "", "size": 5_000_000, "needed": 11_000_000,
    "free": 90_000_000_000, "parameters": 1_300_000, "context_tokens": 8192, "gated": False, "tunable": True,
    "images": False, "is_local": False, "chat_template": True,
    "files": [{"name": "config.json", "size": 900}, {"name": "model.safetensors", "size": 4_999_100}], "choices": [],
}  # fmt: skip


FREED = 11_000_000


@dataclass
class Begun:
    spec: ImportSpec
    found: RemoteImport


class FakeImports(Part):
    """A test says what became of one by `set`. `started` has every order, with the token that came with it."""

    noun = "imports"

    def __init__(self, world: "FakeGateway") -> None:
        super().__init__(world)
        self.facts: dict[str, Any] = {}
        self.begun: dict[str, Begun] = {}
        self.started: list[ImportSpec] = []
        self.inspected: list[ImportSpec] = []
        self.removed: list[str] = []

    @remote
    def inspect(self, spec: ImportSpec) -> Facts:
        self.inspected.append(spec)
        return FACTS | {"source": spec.source} | self.facts

    @remote
    def start(self, id: str, spec: ImportSpec) -> RemoteImport:
        self.started.append(spec)
        self.begun[id] = Begun(spec, RemoteImport("RUNNING", "fetching"))
        return self.begun[id].found

    @remote
    def get(self, id: str) -> RemoteImport:
        if id not in self.begun:
            raise NotFound(f"The import {id} is not found.", "NOT_FOUND")
        return self.begun[id].found

    @remote
    def pause(self, id: str) -> RemoteImport:
        self.get(id)
        self.set(id, "PAUSED")
        return self.begun[id].found

    @remote
    def cancel(self, id: str) -> None:
        self.begun.pop(id, None)

    @remote
    def remove(self, model: str) -> int:
        self.removed.append(model)
        return FREED

    def set(self, id: object, state: str, **facts: Any) -> None:
        self.begun[str(id)].found = RemoteImport(state, **facts)
