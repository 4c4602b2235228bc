"""What the machine of the local Vertex AI has, and what its work takes of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Pace:
    """Seconds: to load the model, of a step beside its tokens, and of each token."""

    load: float
    step: float
    token: float


@dataclass(frozen=True)
class Gpu:
    """In bytes."""

    name: str
    total: int
    free: int


@dataclass(frozen=True)
class TrainingMemory:
    """Bytes of a training in one mode: `fixed`, and `rank` for each rank of an adapter; to that the larger of `saving`
    and a step, which takes `step`, for each of its rows what `rows` has for its tokens, and `answer` for each token
    that is learned."""

    fixed: int
    rank: int
    saving: int
    step: int
    answer: int
    rows: Mapping[int, int]


@dataclass(frozen=True)
class Memory:
    """Of the machine that trains and serves, in bytes: what is `free`, and `room` for one more model. `contexts`: what
    one of them takes by the tokens of its context, in the usual precision, and `precisions` in each. `batch`: the rows
    of a step where none are asked for."""

    free: int
    room: int
    contexts: Mapping[int, int]
    batch: int
    modes: Mapping[str, TrainingMemory]
    precisions: Mapping[str, Mapping[int, int]] = field(default_factory=dict)
