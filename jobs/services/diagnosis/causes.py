"""The causes of a failure that the console can tell apart, the facts that it shows for one, and what it offers."""

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

LONGEST_REASON, LONGEST_LINE, NUMBERS_SHOWN = 2000, 300, 20


class Cause(StrEnum):
    DATA = "data"
    VALIDATION_DATA = "validation_data"
    TERMS = "terms"
    QUOTA = "quota"
    API_DISABLED = "api_disabled"
    BILLING = "billing"
    QUOTA_PROJECT = "quota_project"
    PERMISSION = "permission"
    REGION = "region"
    OUTPUT = "output"
    STOCK_OUT = "stock_out"
    MEMORY = "memory"
    DISK = "disk"
    DIVERGED = "diverged"
    WORKER_GONE = "worker_gone"
    VANISHED = "vanished"
    TAKEN = "taken"
    START_GONE = "start_gone"
    WEIGHTS_GONE = "weights_gone"
    NEVER_READY = "never_ready"
    UNKNOWN = "unknown"


class Fix(StrEnum):
    LEAVE_OUT = "leave_out"
    NO_VALIDATION = "no_validation"
    ACCEPT_TERMS = "accept_terms"
    OTHER_REGION = "other_region"
    REGION_OF_BUCKET = "region_of_bucket"
    NEW_FOLDER = "new_folder"
    HALVE_BATCH = "halve_batch"
    LOWER_RATE = "lower_rate"
    FROM_BASE = "from_base"
    GO_ON = "go_on"
    # Of an endpoint.
    AGAIN = "again"
    REPLACE = "replace"
    ONE_REPLICA = "one_replica"
    # With the type of the machine after it, as in `machine:g2-standard-24`.
    MACHINE = "machine"
    # With the region after it, as in `region:europe-west4`.
    REGION = "region"


class FactName(StrEnum):
    """What a fact tells. The words for it are the page's."""

    CODE = "code"
    LOG_LINE = "log_line"
    ROWS = "rows"
    QUOTA = "quota"
    COMMAND = "command"
    FOLDER = "folder"
    MACHINE = "machine"
    REGION = "region"
    MEMORY = "memory"
    BATCH_SIZE = "batch_size"
    LEARNING_RATE = "learning_rate"
    LOSS_BEST = "loss_best"
    LOSS_LAST = "loss_last"
    LOSS_STEP = "loss_step"
    SILENT_SECONDS = "silent_seconds"
    CHECKPOINT = "checkpoint"
    STAGE = "stage"
    WAITED_SECONDS = "waited_seconds"


# What one command grants or switches on.
GRANTED_BY_COMMAND = frozenset({Cause.API_DISABLED, Cause.BILLING, Cause.QUOTA_PROJECT, Cause.PERMISSION})


@dataclass(frozen=True)
class Fact:
    """`value` may come from a server, a log or a file: text, bounded in length."""

    name: FactName
    value: str | int | float


@dataclass(frozen=True)
class Diagnosis:
    """`reason` as it came, cut to LONGEST_REASON. `fixes` as forms send them, the best first. `rows`: the lines of the
    training data that are at fault. `diverged_at`: the first step whose loss counts for nothing any more."""

    cause: Cause
    facts: tuple[Fact, ...] = ()
    reason: str = ""
    fixes: tuple[str, ...] = ()
    rows: tuple[int, ...] = ()
    diverged_at: int | None = None
    about: UUID | None = None
