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
    that is learned.

    Where rows are `padded`, each is as long as the longest of its step, with a mask: `mask` of a row of 1,024 tokens,
    `even_mask` where all rows are of one length; it grows with the square of the length. Of images, each is
    `image_tokens` of its row and takes `shown` beside a step, and `image` before it: the larger of all `image` and the
    step counts. `card`: the graphics card that trains, with what is `free` there; empty for the memory of the machine,
    where one may be `too_small`."""

    fixed: int
    rank: int
    saving: int
    step: int
    answer: int
    rows: Mapping[int, int]
    padded: bool = False
    mask: int = 0
    even_mask: int = 0
    shown: int = 0
    image: int = 0
    image_tokens: int = 0
    card: str = ""
    free: int = 0
    too_small: str = ""


@dataclass(frozen=True)
class Memory:
    """Of the machine that trains and serves, in bytes: what is `free`, and `room` for one more model. `contexts`: what
    one of them takes by the tokens of its context, in the usual precision, and `precisions` in each. `batch`: the rows
    of a step where none are asked for. `with_images`: the modes of rows that have some. `cards`: the graphics cards
    that serve, which have `room_on_cards` of the room."""

    free: int
    room: int
    contexts: Mapping[int, int]
    batch: int
    modes: Mapping[str, TrainingMemory]
    precisions: Mapping[str, Mapping[int, int]] = field(default_factory=dict)
    with_images: Mapping[str, TrainingMemory] = field(default_factory=dict)
    cards: tuple[str, ...] = ()
    room_on_cards: int = 0
