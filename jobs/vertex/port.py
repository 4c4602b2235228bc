"""What the console needs of Vertex AI, in its own words. `jobs.vertex.sdk` answers with Google's clients.

Every call has a deadline and is made at most once on the wire; each raises only `jobs.vertex.errors`. Times are aware
UTC datetimes. Resource names are full (`projects/…/locations/…/…`), model names short (`google/gemma3@gemma-3-270m`).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Protocol, TypeVar

from jobs.vertex.found import FoundPage
from jobs.vertex.hub import Facts, ImportSpec, RemoteImport
from jobs.vertex.machine import Gpu, Memory, Pace
from jobs.vertex.skus import SkuPage
from jobs.vertex.values import (
    CatalogueModel,
    ChatChunk,
    ChatRequest,
    Credentials,
    CustomJobSpec,
    DeploySpec,
    DeployToExistingSpec,
    Listing,
    LogLine,
    Point,
    RemoteEndpoint,
    RemoteOperation,
    RemoteTuningJob,
    StoredObject,
    Traffic,
    TuningJobSpec,
)

# Ranks of a LoRA adapter, and the word for each in the names of `AdapterSize`.
ADAPTER_SIZES = {1: "ONE", 2: "TWO", 4: "FOUR", 8: "EIGHT", 16: "SIXTEEN", 32: "THIRTY_TWO"}


class Connection(Protocol):
    def credentials(self) -> Credentials:
        """Which are in use; they are not tried. Never holds a secret."""

    def look(self) -> datetime | None:
        """Lists one tuning job, the cheapest call that needs a role. The server's clock, to the second, if it told."""

    def list_gpus(self) -> list[Gpu]:
        """Of the local Vertex AI's machine; none elsewhere, and where it does not tell."""


class Project(Protocol):
    """What Google Cloud tells of the project; each answer may be refused to the credentials (NotAuthorised)."""

    def number(self) -> str: ...

    def missing_permissions(self, wanted: Sequence[str]) -> list[str]:
        """Those of `wanted` that the credentials do not have on the project."""

    def has_billing(self) -> bool: ...

    def is_enabled(self, service: str) -> bool:
        """`service` as in `aiplatform.googleapis.com`."""

    def quota(self, name: str, region: str) -> int | None:
        """The limit of one of Vertex AI's quotas, -1 for no limit; None where nobody tells one for this region."""

    def list_skus(self, service: str, page_token: str) -> SkuPage:
        """One page of Google's list prices in US dollars; `service` is its id in the price catalogue."""


class Catalogue(Protocol):
    def list_models(self) -> list[CatalogueModel]: ...

    def licence_acknowledged(self, model: str) -> bool: ...

    def acknowledge_licence(self, model: str) -> None: ...

    def count_tokens(self, model: str, rows: Sequence[Mapping[str, Any]]) -> int | None:
        """What rows of training data have in one pass of a tuning; None where nobody counts that."""

    def export_weights(self, model: str, uri: str) -> str:
        """The operation's name. Writes the base model's Hugging Face files below `uri`; safe to repeat."""

    def training_paces(self, model: str) -> dict[str, Pace]:
        """By mode, as far as the machine was tried; {} where trainings run elsewhere."""

    def memory(self, model: str) -> Memory | None:
        """What is free now, and what the model takes of it; None where nobody tells."""


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

    def bucket_location(self, uri: str) -> str:
        """Of the bucket of `uri`, as `us-central1` or `us`. NotFound when there is no such bucket."""

    def members_by_role(self, uri: str) -> Mapping[str, Sequence[str]]:
        """Who has which role on the bucket itself, as `serviceAccount:a@b`; the project's own grants are not in it."""

    def ensure_bucket(self, uri: str, location: str = "") -> None:
        """Creates the bucket of `uri` in this location (empty: the configured one) when it does not exist."""


Spec = TypeVar("Spec", contravariant=True)


class TrainingJobs(Protocol[Spec]):
    """Tuning jobs, or custom jobs, which are answered in the same words: what only the one kind has is empty."""

    def create(self, spec: Spec) -> RemoteTuningJob:
        """Paid. Sent at most once; OutcomeUnknown when it may have been accepted."""

    def get(self, name: str) -> RemoteTuningJob: ...

    def find(
        self, label: str, value: str, locations: Iterable[str] = (), *, is_thorough: bool = False
    ) -> list[RemoteTuningJob]:
        """Every job with this label in these locations, the configured one and `global`, oldest first, each job once.

        Reads all pages and matches here too; raises rather than answer from a part of the list. `is_thorough`: where
        something may have been made a moment ago, no filter of the server is relied on.
        """

    def cancel(self, name: str) -> None: ...


class Tuning(TrainingJobs[TuningJobSpec], Protocol):
    def count_running(self, location: str = "") -> int:
        """Jobs that are queued, pending or running, in this location (empty: the configured one) and `global`."""


class Metrics(Protocol):
    def read(self, experiment: str) -> dict[str, list[Point]]:
        """Every series of a tuning job's experiment, by tag, in step order; {} while there is none."""


class Logs(Protocol):
    """Cloud Logging, which may be refused to the credentials (NotAuthorised) while Vertex AI answers."""

    def of_job(self, name: str, since: datetime, most: int) -> list[LogLine]:
        """The newest lines of a tuning or custom job, the oldest of them first."""

    def of_endpoint(self, name: str, since: datetime, most: int) -> list[LogLine]:
        """Those of its model servers."""


class Monitoring(Protocol):
    """Cloud Monitoring, which may be refused to the credentials (NotAuthorised) while Vertex AI answers."""

    def traffic(self, endpoint: str, begin: datetime, part: timedelta, parts: int) -> list[Traffic]:
        """Of each of the `parts`, the oldest first. What was asked a few minutes ago may not be counted yet."""


class Deployment(Protocol):
    def deploy(self, spec: DeploySpec) -> str:
        """Paid. The operation's name. AlreadyExists when the endpoint id is taken."""

    def get_operation(self, name: str) -> RemoteOperation: ...

    def find_deployment(self, endpoint: str) -> RemoteOperation | None:
        """The last deployment onto this endpoint, with its stage; also how to find one whose reply was lost."""

    def endpoint_name(self, endpoint_user_id: str, location: str = "") -> str:
        """`location` empty: the one that is configured, here and below."""

    def model_name(self, model_user_id: str, location: str = "") -> str: ...

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


class Inventory(Protocol):
    def list_resources(self, kind: str, location: str, since: datetime, limit: int) -> FoundPage:
        """What the project has of one of found.KINDS in this region, whoever made it; of jobs, those made after
        `since`. Reads at most `limit` of them."""


class Imports(Protocol):
    """Of the local Vertex AI alone: Google Cloud has Hugging Face's models in its catalogue."""

    def inspect(self, spec: ImportSpec) -> Facts:
        """What would be taken, before anything is."""

    def start(self, id: str, spec: ImportSpec) -> RemoteImport:
        """Goes on where it stopped. Sent again, it changes nothing more."""

    def get(self, id: str) -> RemoteImport: ...

    def pause(self, id: str) -> RemoteImport: ...

    def cancel(self, id: str) -> None:
        """Nothing of it stays. Nothing happens where there is none."""

    def remove(self, model: str) -> int:
        """Bytes of the disk that it frees. Raises Refused while something uses the imported model."""


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
    def project(self) -> Project: ...
    @property
    def catalogue(self) -> Catalogue: ...
    @property
    def storage(self) -> Storage: ...
    @property
    def tuning(self) -> Tuning: ...
    @property
    def custom_jobs(self) -> TrainingJobs[CustomJobSpec]: ...
    @property
    def metrics(self) -> Metrics: ...
    @property
    def logs(self) -> Logs: ...
    @property
    def monitoring(self) -> Monitoring: ...
    @property
    def deployment(self) -> Deployment: ...
    @property
    def imports(self) -> Imports: ...
    @property
    def inventory(self) -> Inventory: ...
    @property
    def chat(self) -> Chat: ...
