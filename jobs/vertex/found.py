"""What a list of the project answers. Every text in it is from outside, and as long as it came."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

ENDPOINT, MODEL, TUNING_JOB, CUSTOM_JOB = "endpoint", "model", "tuning_job", "custom_job"
KINDS = (ENDPOINT, MODEL, TUNING_JOB, CUSTOM_JOB)


@dataclass(frozen=True)
class Machines:
    """Of one kind: `count` that always run, and `most` at most, as replicas of a deployed model or workers of a job.
    `type` is empty where none is told."""

    type: str
    accelerator: str = ""
    accelerators: int = 0
    count: int = 1
    most: int = 1
    available: int | None = None


@dataclass(frozen=True)
class FoundModel:
    """One that is deployed on an endpoint. `model` is its name in the registry."""

    id: str
    model: str
    display_name: str
    machines: Machines
    create_time: datetime | None = None
    share: int = 0


@dataclass(frozen=True)
class Found:
    """`state` is a job's, without its prefix. `base_model` is a short name, empty when not told. `folder`: where its
    weights lie, or where it writes. `image`: of its container. `result`: the name of what a job made.
    """

    name: str
    display_name: str
    labels: Mapping[str, str]
    create_time: datetime | None
    state: str = ""
    base_model: str = ""
    folder: str = ""
    image: str = ""
    result: str = ""
    dedicated_dns: str = ""
    models: tuple[FoundModel, ...] = ()
    machines: tuple[Machines, ...] = ()


@dataclass(frozen=True)
class FoundPage:
    """`is_whole`: there is no more than this."""

    resources: tuple[Found, ...] = ()
    is_whole: bool = True
