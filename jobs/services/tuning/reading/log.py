"""The training log: from Cloud Logging, else from the file that a training may leave in the bucket."""

from datetime import timedelta
from typing import Any

from django.conf import settings

from jobs.models import LogSource, TuningJob
from jobs.models.remote import is_recent
from jobs.services.remote.row_claim import Claim, ClaimLost, mark
from jobs.vertex import get_gateway
from jobs.vertex.errors import VertexError

LOG_BYTES = 200_000
LINES = 1000
# Cloud Logging answers sixty requests a minute for a whole project.
PAUSE = timedelta(seconds=60)
# The first lines may be written before the job says that it began.
BEFORE = timedelta(minutes=10)


def read_log(claimed: Claim[TuningJob], *, ended: bool = False) -> dict[str, Any]:
    """The columns that change. Raises VertexError where the bucket doesn't answer either."""
    job = claimed.row
    if not _may_ask(claimed, ended=ended):
        return {} if job.log_source == LogSource.CLOUD_LOGGING else _read_file(job)
    try:
        lines = get_gateway().logs.of_job(job.resource_name, job.created_at - BEFORE, LINES)
    except VertexError as error:
        return {"log_problem": str(error)} | _read_file(job)
    if not lines:
        return {"log_problem": ""} | _read_file(job)
    text = "\n".join(line.text for line in lines)
    return {"log_problem": "", "log_text": _end_of(text), "log_source": LogSource.CLOUD_LOGGING}


def _may_ask(claimed: Claim[TuningJob], *, ended: bool) -> bool:
    """The local server may be asked at every look."""
    if settings.VERTEX_API_ENDPOINT:
        return True
    if is_recent(claimed.row.log_read_at, claimed.now, PAUSE) and not ended:
        return False
    if not mark(claimed, log_read_at=claimed.now):
        raise ClaimLost
    return True


def _read_file(job: TuningJob) -> dict[str, Any]:
    """Nothing where there is none: what was read before stays."""
    found = get_gateway().storage.read_text(f"{job.output_uri}/logs/train.log", LOG_BYTES)
    return {"log_text": found.replace("\x00", ""), "log_source": LogSource.BUCKET} if found else {}


def _end_of(text: str) -> str:
    kept = text.replace("\x00", "")[-LOG_BYTES:]
    return kept if len(text) <= LOG_BYTES else kept.partition("\n")[2]
