"""What the console needs of Vertex AI, in its own words. `jobs.vertex.sdk` answers with Google's clients.

Every call has a deadline and is made at most once on the wire; each raises only `jobs.vertex.errors`. Times are aware
UTC datetimes. Resource names are full (`projects/…/locations/…/…`), model names short (`google/gemma3@gemma-3-270m`).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

# Ranks of a LoRA adapter, and the word for each in the names of `AdapterSize`.
ADAPTER_SIZES = {1: "ONE", 2: "TWO", 4: "FOUR", 8: "EIGHT", 16: "SIXTEEN", 32: "THIRTY_TWO"}


@dataclass(frozen=True)
class MachineSpec:
    machine_type: str
    accelerator_type: str = ""
    accelerator_count: int = 0
    title: str = ""


@dataclass(frozen=True)
class CatalogueModel:
    """`machine_specs` are the deploy options, the recommended first; empty means it cannot be deployed here.

    `documents` are Markdown by their titles in small letters. `modalities` and the rest are empty when not told.
    """

    name: str
    display_name: str
    launch_stage: str
    overview: str
    machine_specs: tuple[MachineSpec, ...]
    can_tune: bool
    licence: str
    sample_request: Mapping[str, Any]
    licence_url: str = ""
    parameters: str = ""
    context_tokens: int = 0
    modalities: tuple[str, ...] = ()
    documents: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class RemoteError:
    """`code` is a gRPC status word, such as INVALID_ARGUMENT."""

    code: str
    message: str


@dataclass(frozen=True)
class TuningJobSpec:
    """`learning_rate` absolute. `adapter_size` None unless PEFT_ADAPTER. URIs are `gs://`.

    `custom_base_model` is the folder of an earlier tuning of `base_model` to go on from; `location` empty: the one that
    is configured.
    """

    base_model: str
    display_name: str
    output_uri: str
    training_dataset_uri: str
    validation_dataset_uri: str
    epochs: int
    learning_rate: float
    tuning_mode: str
    adapter_size: int | None
    batch_size: int | None
    export_last_checkpoint_only: bool
    labels: Mapping[str, str]
    description: str = ""
    custom_base_model: str = ""
    location: str = ""


@dataclass(frozen=True)
class Checkpoint:
    checkpoint_id: str
    epoch: int
    step: int


@dataclass(frozen=True)
class RemoteTuningJob:
    """`state` without its JOB_STATE_ prefix, as sent, even when unknown to us. `total_steps` None until counted."""

    name: str
    state: str
    labels: Mapping[str, str]
    display_name: str
    create_time: datetime | None
    start_time: datetime | None
    end_time: datetime | None
    error: RemoteError | None
    experiment: str
    tuned_model: str
    checkpoints: tuple[Checkpoint, ...]
    total_steps: int | None
    data_stats: Mapping[str, Any]


@dataclass(frozen=True)
class Point:
    step: int
    value: float
    wall_time: datetime


@dataclass(frozen=True)
class DeploySpec:
    """Either `publisher_model` (short name) or `artifact_uri` (`gs://` folder with config, weights, tokenizer).

    The replicas are asked for together with the machine only: without one, Vertex AI chooses both.
    """

    endpoint_user_id: str
    model_user_id: str
    endpoint_display_name: str
    model_display_name: str
    publisher_model: str
    artifact_uri: str
    accept_eula: bool
    machine: MachineSpec | None
    labels: Mapping[str, str]
    min_replicas: int = 1
    max_replicas: int = 1
    spot: bool = False
    shared_address: bool = False


@dataclass(frozen=True)
class DeployToExistingSpec:
    """A model for an `endpoint` that exists: `publisher_model` (short name) or `artifact_uri`, as in DeploySpec.

    `deployed_model_id`: up to ten digits, not beginning with 0. `machine` None: the one that Vertex AI recommends.
    """

    endpoint: str
    deployed_model_id: str
    model_user_id: str
    display_name: str
    publisher_model: str
    artifact_uri: str
    machine: MachineSpec | None
    labels: Mapping[str, str]
    min_replicas: int = 1
    max_replicas: int = 1


@dataclass(frozen=True)
class RemoteOperation:
    """`stage` is a DeploymentStage name where the operation has one, else empty."""

    name: str
    done: bool
    error: RemoteError | None
    stage: str
    response: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class RemoteDeployedModel:
    """`min_replicas` and `max_replicas` None: it does not run on machines of its own.

    `is_asleep`: it was scaled to zero because nobody used it, and the next request wakes it. `message` is the server's.
    """

    id: str
    model: str
    display_name: str
    available_replicas: int | None
    min_replicas: int | None = None
    max_replicas: int | None = None
    is_asleep: bool = False
    message: str = ""
    machine: MachineSpec | None = None


@dataclass(frozen=True)
class RemoteEndpoint:
    name: str
    display_name: str
    labels: Mapping[str, str]
    dedicated_dns: str
    deployed_models: tuple[RemoteDeployedModel, ...]
    traffic_split: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class ChatRequest:
    """`messages` and `parameters` in the chat/completions form; `parameters` holds only what the person changed."""

    endpoint: str
    dedicated_dns: str
    messages: Sequence[Mapping[str, Any]]
    parameters: Mapping[str, Any]


@dataclass(frozen=True)
class ChatChunk:
    """`usage` (prompt_tokens, completion_tokens) comes at most once, with the last chunk.

    `deployed_model_id`: which model of the endpoint answers, told at most once, before its text.
    """

    text: str = ""
    finish_reason: str = ""
    usage: Mapping[str, int] | None = None
    deployed_model_id: str = ""


@dataclass(frozen=True)
class Credentials:
    """`kind` is one of none, user, service-account, metadata, federation, other. `principal` empty when not told."""

    kind: str
    principal: str = ""


class Connection(Protocol):
    def credentials(self) -> Credentials:
        """Which are in use; they are not tried. Never holds a secret."""

    def look(self) -> datetime | None:
        """Lists one tuning job, the cheapest call that needs a role. The server's clock, to the second, if it told."""


class Catalogue(Protocol):
    def list_models(self) -> list[CatalogueModel]: ...

    def licence_acknowledged(self, model: str) -> bool: ...

    def acknowledge_licence(self, model: str) -> None: ...


@dataclass(frozen=True)
class StoredObject:
    """`name` without the folder that was listed; `size` in bytes; `version` tells the bytes of one write from those of
    the next, where that is known."""

    name: str
    size: int
    updated: datetime | None = None
    version: str = ""


@dataclass(frozen=True)
class Listing:
    """A page of names, in order; of buckets only `folders`. `next_token` is empty at the end."""

    folders: tuple[str, ...] = ()
    objects: tuple[StoredObject, ...] = ()
    next_token: str = ""


class Storage(Protocol):
    def upload(self, path: Path, uri: str) -> None:
        """Overwrites; safe to repeat."""

    def problem_with_output(self, uri: str) -> str:
        """A sentence saying why nothing can be written below `uri` (no bucket, no rights), or nothing."""

    def is_empty(self, uri: str) -> bool: ...

    def find_object(self, uri: str) -> StoredObject | None:
        """With its whole path as its name; None when there is none, or no such bucket."""

    def delete(self, uri: str) -> None:
        """Nothing happens when there is no such object."""

    def read_text(self, uri: str, limit: int) -> str | None:
        """The last `limit` bytes of an object, or None when there is none."""

    def read_range(self, uri: str, start: int, size: int, version: str) -> bytes:
        """Fewer bytes at the end of the object only; NotFound when there is none, or not in this `version` any more."""

    def list_buckets(self, page_token: str, limit: int) -> Listing:
        """Those of the project."""

    def list_folder(self, uri: str, page_token: str, limit: int) -> Listing:
        """What lies right below `uri`. A folder that does not exist is empty; NotFound without its bucket."""

    def ensure_bucket(self, uri: str) -> None:
        """Creates the bucket of `uri` when it does not exist."""


class Tuning(Protocol):
    def create(self, spec: TuningJobSpec) -> RemoteTuningJob:
        """Paid. Sent at most once; OutcomeUnknown when it may have been accepted."""

    def get(self, name: str) -> RemoteTuningJob: ...

    def find(self, label: str, value: str, locations: Iterable[str] = ()) -> list[RemoteTuningJob]:
        """Every job with this label in these locations, the configured one and `global`, oldest first, each job once.

        Reads all pages and matches here too; raises rather than answer from a part of the list.
        """

    def cancel(self, name: str) -> None: ...


class Metrics(Protocol):
    def read(self, experiment: str) -> dict[str, list[Point]]:
        """Every series of a tuning job's experiment, by tag, in step order; {} while there is none."""


class Deployment(Protocol):
    def deploy(self, spec: DeploySpec) -> str:
        """Paid. The operation's name. AlreadyExists when the endpoint id is taken."""

    def get_operation(self, name: str) -> RemoteOperation: ...

    def find_deployment(self, endpoint: str) -> RemoteOperation | None:
        """The last deployment onto this endpoint, with its stage; also how to find one whose reply was lost."""

    def endpoint_name(self, endpoint_user_id: str) -> str: ...

    def model_name(self, model_user_id: str) -> str: ...

    def get_endpoint(self, name: str) -> RemoteEndpoint: ...

    def scale(self, endpoint: str, deployed_model_id: str, min_replicas: int, max_replicas: int) -> str:
        """The operation's name. Names the numbers wanted, so that sending it again changes nothing more."""

    def upload_model(self, spec: DeployToExistingSpec) -> str:
        """Puts it into the registry, under its own id: the operation's name, or AlreadyExists."""

    def deploy_to_existing(self, spec: DeployToExistingSpec, traffic_split: Mapping[str, int]) -> str:
        """Paid. The operation's name. The model is uploaded; "0" in the split stands for it, others by their ids."""

    def share_traffic(self, endpoint: str, traffic_split: Mapping[str, int]) -> None:
        """Done when it returns. Names every deployed model; sending it again changes nothing more."""

    def undeploy(self, endpoint: str, deployed_model_id: str, traffic_split: Mapping[str, int]) -> str:
        """Refused for a model with traffic unless the split gives it to those that stay."""

    def delete_endpoint(self, name: str) -> str: ...

    def delete_model(self, name: str) -> str: ...


class ChatStream(Protocol):
    """Entered once. Leaving it closes the connection, which stops the generation on the server."""

    def __enter__(self) -> Iterator[ChatChunk]: ...

    def __exit__(self, *_: object) -> None: ...

    def cut(self) -> None:
        """From any thread, also before and while it is entered. What entering or reading raises then means nothing."""


class Chat(Protocol):
    def stream(self, request: ChatRequest) -> ChatStream:
        """Nothing is sent before it is entered."""


class VertexGateway(Protocol):
    @property
    def connection(self) -> Connection: ...
    @property
    def catalogue(self) -> Catalogue: ...
    @property
    def storage(self) -> Storage: ...
    @property
    def tuning(self) -> Tuning: ...
    @property
    def metrics(self) -> Metrics: ...
    @property
    def deployment(self) -> Deployment: ...
    @property
    def chat(self) -> Chat: ...
