"""What a preflight looks at, and what it says of each thing."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum


class Check(StrEnum):
    CREDENTIALS = "credentials"
    API = "api"
    BILLING = "billing"
    RIGHTS = "rights"
    BUCKET = "bucket"
    BUCKET_REGION = "bucket_region"
    DATA_REGION = "data_region"
    AGENTS = "agents"
    TERMS = "terms"
    TUNING_QUOTA = "tuning_quota"
    TRAINING_QUOTA = "training_quota"
    SERVING_QUOTA = "serving_quota"
    CAPACITY = "capacity"


class Verdict(StrEnum):
    PASSED = "passed"
    FAILED = "failed"
    WARNING = "warning"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Line:
    """`text`: what was found, or what is wrong, or why it cannot be known. `commands` put it right."""

    check: Check
    verdict: Verdict
    text: str = ""
    commands: tuple[str, ...] = ()


@dataclass(frozen=True)
class Subject:
    """What money is to be spent on. Empty: not part of it. `location`: where is tuned; `serving_location`: where it is
    deployed. `bucket`: of the output, `data_buckets`: others, that the datasets are read from. `accelerators`: of all
    replicas together at the most. `training_accelerator`: of the machine that a container trains on."""

    location: str = ""
    serving_location: str = ""
    bucket: str = ""
    base_model: str = ""
    machine_type: str = ""
    accelerator_type: str = ""
    accelerators: int = 0
    training_accelerator: str = ""
    data_buckets: Sequence[str] = ()

    @property
    def key(self) -> str:
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()

    @property
    def is_tuning(self) -> bool:
        return bool(self.location)

    @property
    def is_serving(self) -> bool:
        return bool(self.serving_location)
