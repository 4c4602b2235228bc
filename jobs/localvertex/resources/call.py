"""What a function behind an HTTP path is given."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

from google.cloud.aiplatform_v1beta1.types import GenericOperationMetadata
from google.protobuf.message import Message as RawMessage
from proto import Message as PlusMessage

from jobs.localvertex.api import versions
from jobs.localvertex.api.behaviours import check_required
from jobs.localvertex.api.errors import ApiError, invalid
from jobs.localvertex.api.faults import FAILURE, Fault
from jobs.localvertex.api.filtering.filters import apply_mask, order_resources, page, select
from jobs.localvertex.api.wire import Json, Operation, now, pack, parse, parse_query, raw, refuse_query, snake
from jobs.localvertex.batch.queue import Batches
from jobs.localvertex.devices.machine import CPU, Machine
from jobs.localvertex.imports.importer import Imports
from jobs.localvertex.models.base_models import BaseModels
from jobs.localvertex.models.catalogue import Catalogue
from jobs.localvertex.models.exports import Exports
from jobs.localvertex.observability.answers import Answers
from jobs.localvertex.serving.deployments import Deployments
from jobs.localvertex.serving.pool import Serving
from jobs.localvertex.serving.targets import Targets
from jobs.localvertex.storage.buckets import Buckets
from jobs.localvertex.store import Ledger, Store
from jobs.localvertex.tuning.queue import Runner
from jobs.localvertex.tuning.trials import Trials

Plus = TypeVar("Plus", bound=PlusMessage)
Resource = TypeVar("Resource", bound=PlusMessage | RawMessage)
Reply: TypeAlias = PlusMessage | RawMessage
# Paths in errors begin so: those of other kinds have nothing before them.
PREFIXES = {
    "Endpoint": "endpoint.",
    "CustomJob": "custom_job.",
    "TrainingPipeline": "training_pipeline.",
    "BatchPredictionJob": "batch_prediction_job.",
    "HyperparameterTuningJob": "hyperparameter_tuning_job.",
    "PersistentResource": "persistent_resource.",
    "Tensorboard": "tensorboard.",
    "TensorboardRun": "tensorboard_run.",
    "TensorboardTimeSeries": "tensorboard_time_series.",
}


@dataclass(frozen=True)
class Parts:
    """The server's parts, made once in `__main__`. `project`: where a path names none. `serves_on`: a device
    of `devices.machine`, and `look` is what there is of them now. `imports` need `import_key`; None where
    nobody can import."""

    store: Store
    ledger: Ledger
    catalogue: Catalogue
    weights: BaseModels
    buckets: Buckets
    serving: Serving
    runner: Runner
    deployments: Deployments
    exports: Exports
    trials: Trials
    targets: Targets
    batches: Batches
    answers: Answers
    dedicated_hosts: bool = False
    instant: bool = False
    as_google: bool = False
    project: str = ""
    serves_on: str = CPU
    look: Callable[[], Machine] = Machine
    imports: Imports | None = None
    import_key: str = ""

    def look_again(self) -> None:
        """At the files of imported models, before it is told or decided what can be done with them."""
        if self.imports is not None:
            self.imports.look_again()


@dataclass(frozen=True)
class Call:
    parts: Parts
    path: Mapping[str, str]
    query: list[tuple[str, str]]
    body: object
    host: str
    version: str = "v1beta1"
    fault: Fault | None = None

    @property
    def failure(self) -> Json:
        """What the fault switch lets become of what this call begins, for its note; see `api.faults`."""
        if self.fault is None:
            return {}
        return {FAILURE: {"code": self.fault.code, "message": self.fault.message, "seconds": self.fault.seconds}}

    def request(self, kind: type[Plus]) -> Plus:
        """A request message whose fields came by the path and the query."""
        query = self.query
        if self.version == "v1":
            parse_query(versions.counterpart(kind), query, self._merge_path({}))
            query = [(key, value) for key, value in query if snake(key) not in versions.only_v1(kind)]
        request = parse_query(kind, query, self._merge_path({}))
        fields = raw(request).DESCRIPTOR.fields
        check_required(raw(request), but=[one.name for one in fields if one.message_type])
        return request

    def order_by(self, request: PlusMessage) -> str:
        """v1 orders lists by a field that the messages of v1beta1 lack."""
        given = next((value for key, value in self.query if self.version == "v1" and snake(key) == "order_by"), "")
        return given or getattr(request, "order_by", "")

    def parse_post(self, kind: type[Plus]) -> Plus:
        """A request message whose fields came by the path and the body (`body: "*"`)."""
        refuse_query(self.query)
        body = self.body if self.body is not None else {}
        request = self._parse(kind, self._merge_path(body) if isinstance(body, dict) else body)
        check_required(raw(request), changed=[field.partition(".")[0] for field in self.path if "." in field])
        return request

    def resource(self, kind: type[Plus], query: Collection[str] = ()) -> Plus:
        """The resource that is the whole body of a create or a patch. `query`: what else the request may hold."""
        refuse_query(self.query, query)
        resource = self._parse(kind, self.body)
        is_patch = any("." in field for field in self.path)
        changes = raw(resource).DESCRIPTOR.fields_by_name if is_patch else ()
        check_required(raw(resource), PREFIXES.get(kind.__name__, ""), but=changes)
        return resource

    def operation(self, name: str, metadata: PlusMessage, response: Reply | None = None) -> Operation:
        """A new operation, done when there is a response. It remembers the API version, in which /ui/ shows it."""
        operation = Operation(name=name)
        operation.metadata.CopyFrom(pack(metadata))
        if response is not None:
            operation.done = True
            operation.response.CopyFrom(pack(response))
        with self.parts.store.transaction():
            self.parts.store.insert(operation)
            if self.version == "v1":
                self.parts.store.write_note(name, api="v1")
        return operation

    def _merge_path(self, body: Json) -> Json:
        """What the path says wins; `endpoint.name` is the name inside the endpoint."""
        fixed = dict(body)
        for field, value in self.path.items():
            outer, _, inner = field.partition(".")
            within = fixed.get(outer)
            fixed[outer] = {**(within if isinstance(within, dict) else {}), inner: value} if inner else value
        return fixed

    def _parse(self, kind: type[Plus], body: object) -> Plus:
        if self.version != "v1":
            return parse(kind, body)
        parse(versions.counterpart(kind), body)
        try:
            return parse(kind, body)
        except ApiError as error:
            raise _say_unsupported(error) from None


@dataclass(frozen=True)
class Route:
    method: str
    verb: str
    path: str
    run: Callable[[Call], Reply]


def _say_unsupported(error: ApiError) -> ApiError:
    """v1 has the field, so that it is not unknown: only what is kept here lacks it."""
    field = next((detail["fieldViolations"][0]["field"] for detail in error.details), "")
    return invalid(f"{field} is not supported by this server: leave it out.", field) if field else error


def location_of(name: str) -> str:
    """`projects/P/locations/L` of any resource name."""
    return "/".join(name.split("/")[:4])


def list_page(
    request: Any,
    kind: type[Resource],
    resources: Sequence[Resource],
    shown: Callable[[Resource], Resource] = lambda resource: resource,
    order_by: str = "",
) -> tuple[list[Resource], str]:
    """One page of what the request's `filter` lets through, in the order it asks for, and the next page's token.
    `shown` adds what no filter asks for; then `read_mask` decides."""
    found = order_resources(
        kind, select(kind, resources, getattr(request, "filter", "")), order_by or getattr(request, "order_by", "")
    )
    chosen, following = page(found, request.page_size, request.page_token)
    return apply_mask(kind, [shown(one) for one in chosen], getattr(request, "read_mask", None)), following


def generic() -> GenericOperationMetadata:
    return GenericOperationMetadata(create_time=now(), update_time=now())


__all__ = ["Call", "Parts", "Reply", "Route", "generic", "list_page", "location_of", "now"]
