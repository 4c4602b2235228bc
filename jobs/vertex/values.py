"""What the gateway is asked for, and what it answers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from .machine import Memory, Pace


@dataclass(frozen=True)
class MachineSpec:
    machine_type: str
    accelerator_type: str = ""
    accelerator_count: int = 0
    title: str = ""


@dataclass(frozen=True)
class Precision:
    """In which the local Vertex AI can serve a model. `kind` is llama.cpp's name in small letters, empty when not told;
    `memory` 0 and `tokens_per_second` None until known."""

    kind: str
    size: int
    memory: int = 0
    tokens_per_second: float | None = None
    is_default: bool = False


@dataclass(frozen=True)
class CatalogueModel:
    """`machine_specs` are the deploy options, the recommended first; empty means it cannot be deployed here.

    `documents` are Markdown by their titles in small letters. `paces` are by tuning mode.
    `modalities` and the rest are empty when not told. `weight_bytes`: of its files in 16 bits, 0 when not told.
    `imported_bytes`: on the disk of the local Vertex AI, into which it was imported; None of any other.
    `sampling`: what its endpoints take for temperature, top_p, top_k and penalties where a request does not say.
    `knows_tools`: whether its chat template has a place for tools; None when not told.
    `precisions`: of the model itself ("base") and of what a full tuning makes of it ("full").
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
    paces: Mapping[str, Pace] = field(default_factory=dict)
    weight_bytes: int = 0
    imported_bytes: int | None = None
    sampling: Mapping[str, float] = field(default_factory=dict)
    precisions: Mapping[str, tuple[Precision, ...]] = field(default_factory=dict)
    memory: Memory | None = None
    knows_tools: bool | None = None


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
class CustomJobSpec:
    """A container that trains, on one machine. `arguments` and `environment` hold no secret. `service_account` empty:
    Vertex AI's own; `location` empty: the one that is configured."""

    display_name: str
    image: str
    machine: MachineSpec
    arguments: Sequence[str]
    output_uri: str
    labels: Mapping[str, str]
    environment: Mapping[str, str] = field(default_factory=dict)
    service_account: str = ""
    disk_gigabytes: int = 200
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
class ServingOptions:
    """What is asked for beside machine and replicas, and together with a machine only; `labels` always.

    `idle_seconds`: with `min_replicas` of 0, how long nobody has to ask before no machine is left. `reservation` is a
    `ReservationAffinity.Type`, and `reservations` are full names. `autoscaling`: targets by the metric's full name.
    `service_account` is taken with a model for an endpoint that exists only: `:deploy` has no field for it.
    `context_tokens` goes for the local server.
    """

    idle_seconds: int | None = None
    reservation: str = ""
    reservations: tuple[str, ...] = ()
    flex_start_seconds: int | None = None
    autoscaling: Mapping[str, int] = field(default_factory=dict)
    service_account: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    context_tokens: int | None = None


@dataclass(frozen=True)
class LogLine:
    """`text` is one line, with its time and severity in front."""

    at: datetime
    text: str


@dataclass(frozen=True)
class Traffic:
    """Of one part of a period, which begins at `begin`: all requests that an endpoint answered, whoever asked.
    Latencies in seconds; None where nobody asked, and `replicas` where nobody counted them."""

    begin: datetime
    requests: int = 0
    errors: int = 0
    latency_p50: float | None = None
    latency_p95: float | None = None
    replicas: int | None = None


@dataclass(frozen=True)
class DeploySpec:
    """Either `publisher_model` (short name) or `artifact_uri` (`gs://` folder with config, weights, tokenizer).

    The replicas are asked for together with the machine only: without one, Vertex AI chooses both. `location` empty:
    the one that is configured.
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
    location: str = ""
    options: ServingOptions = field(default_factory=ServingOptions)


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
    options: ServingOptions = field(default_factory=ServingOptions)


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
    options: ServingOptions = field(default_factory=ServingOptions)


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

    `deployed_model_id`: which model of the endpoint answers, told at most once, before its text. `tool_calls` are parts
    of calls, each {"index", "id", "name", "arguments"}: what comes of one index belongs together.
    """

    text: str = ""
    finish_reason: str = ""
    usage: Mapping[str, int] | None = None
    deployed_model_id: str = ""
    tool_calls: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True)
class Credentials:
    """`kind` is one of none, user, service-account, metadata, federation, other. `principal` empty when not told."""

    kind: str
    principal: str = ""


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
