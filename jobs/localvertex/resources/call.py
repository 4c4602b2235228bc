"""What a function behind an HTTP path is given."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

from google.protobuf.message import Message as RawMessage
from proto import Message as PlusMessage

from jobs.localvertex.base_models import BaseModels
from jobs.localvertex.buckets import Buckets
from jobs.localvertex.catalogue import Catalogue
from jobs.localvertex.deployments import Deployments
from jobs.localvertex.ledger import Ledger
from jobs.localvertex.runner import Runner
from jobs.localvertex.serving import Serving
from jobs.localvertex.store import Store
from jobs.localvertex.wire import Operation, now, pack, parse, parse_query

Plus = TypeVar("Plus", bound=PlusMessage)
Reply: TypeAlias = PlusMessage | RawMessage


@dataclass(frozen=True)
class Parts:
    """The server's parts, made once in `__main__`."""

    store: Store
    ledger: Ledger
    catalogue: Catalogue
    weights: BaseModels
    buckets: Buckets
    serving: Serving
    runner: Runner
    deployments: Deployments


@dataclass(frozen=True)
class Call:
    parts: Parts
    path: Mapping[str, str]
    query: list[tuple[str, str]]
    body: object
    host: str

    def request(self, kind: type[Plus]) -> Plus:
        """A request message whose fields came by the path and the query."""
        return parse_query(kind, self.query, dict(self.path))

    def posted(self, kind: type[Plus]) -> Plus:
        """A request message whose fields came by the path and the body (`body: "*"`)."""
        body = self.body if self.body is not None else {}
        return parse(kind, body | dict(self.path) if isinstance(body, dict) else body)

    def resource(self, kind: type[Plus]) -> Plus:
        """The resource that is the whole body of a create or a patch."""
        return parse(kind, self.body)


@dataclass(frozen=True)
class Route:
    method: str
    verb: str
    path: str
    run: Callable[[Call], Reply]


def location_of(name: str) -> str:
    """`projects/P/locations/L` of any resource name."""
    return "/".join(name.split("/")[:4])


def new_operation(name: str, metadata: PlusMessage) -> Operation:
    operation = Operation(name=name)
    operation.metadata.CopyFrom(pack(metadata))
    return operation


def done_operation(name: str, metadata: PlusMessage, response: Reply) -> Operation:
    operation = new_operation(name, metadata)
    operation.done = True
    operation.response.CopyFrom(pack(response))
    return operation


__all__ = ["Call", "Parts", "Reply", "Route", "done_operation", "location_of", "new_operation", "now"]
