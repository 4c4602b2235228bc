"""What a training in a container tells of itself: Vertex AI knows only whether its process runs. The rest lies in the
job's folder, and is read like anything that somebody else has written."""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import replace
from itertools import islice
from typing import Any

from jobs.log_lines import escape
from jobs.models import TuningJob
from jobs.services.tuned_models.saved import find_checkpoints
from jobs.text.deferred import join
from jobs.vertex import get_gateway
from jobs.vertex.errors import NotFound
from jobs.vertex.values import Checkpoint, Point, RemoteError, RemoteTuningJob

from . import board_files
from .request import LOGS, STATISTICS

STATISTICS_BYTES = 2_000_000
EVENT_BYTES = 8_000_000
EVENT_FILES = 8
LOG_BYTES = 20_000
MOST_STEPS = 10**7
COUNTS = (
    "tuningDatasetExampleCount", "totalTuningCharacterCount", "totalBillableTokenCount", "tuningStepCount",
    "totalTruncatedExampleCount",
)  # fmt: skip
SPREADS = ("userInputTokenDistribution", "userOutputTokenDistribution", "userMessagePerExampleDistribution")
LISTS = ("truncatedExampleIndices", "droppedExampleReasons")
NAME, MOST_NUMBERS = re.compile(r"[a-zA-Z]\w{0,39}", re.ASCII), 20
LONGEST_COUNT, LONGEST_REASON, MOST_REASONS, MOST_BUCKETS = 15, 300, 1000, 20
FAILED = re.compile(r"^[\d :-]*Failed: (.{1,1000})$", re.MULTILINE)


def complete(job: TuningJob, remote: RemoteTuningJob) -> RemoteTuningJob:
    """With the steps, the statistics, the checkpoints and the cause of a failure, as far as they were told. Raises
    VertexError."""
    if not job.is_in_container or remote.start_time is None:
        return remote
    stats = _read_statistics(job)
    saved = find_checkpoints(job) if remote.end_time else []
    return replace(
        remote,
        total_steps=_count_steps(stats),
        data_stats=stats,
        checkpoints=tuple(Checkpoint(one["checkpoint_id"], one["epoch"], one["step"]) for one in saved),
        error=_explain(job, remote.error),
    )


def read_series(job: TuningJob) -> dict[str, list[Point]]:
    """Of all event files in the job's folder, by their names there; {} while there is none. Raises VertexError."""
    storage, folder = get_gateway().storage, f"{job.output_uri.rstrip('/')}/{LOGS}"
    try:
        names = [one.name for one in storage.list_folder(folder, "", 100).objects]
    except NotFound:
        return {}
    contents, left = list[bytes](), EVENT_BYTES
    # The newest first, since all of them together are read at every look.
    for name in [name for name in names if board_files.is_event_file(name)][: -EVENT_FILES - 1 : -1]:
        contents.append(_read(f"{folder}/{name}", left))
        left -= len(contents[-1])
        if left <= 0:
            break
    series: dict[str, list[Point]] = {}
    for content in reversed(contents):
        series = board_files.merge(series, board_files.read_points(content))
    return series


def _read(uri: str, most: int) -> bytes:
    """Nothing, where it is written anew at this moment: the next look finds it."""
    storage = get_gateway().storage
    found = storage.find_object(uri)
    if found is None or not found.size:
        return b""
    try:
        return storage.read_range(uri, 0, min(found.size, most), found.version)
    except NotFound:
        return b""


def _read_statistics(job: TuningJob) -> dict[str, Any]:
    """What has the form that Vertex AI's own statistics have; the rest is left out."""
    uri = f"{job.output_uri.rstrip('/')}/{LOGS}/{STATISTICS}"
    text = get_gateway().storage.read_text(uri, STATISTICS_BYTES)
    try:
        found = json.loads(text or "{}", parse_constant=str)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(found, dict):
        return {}
    counts = {name: str(found[name]) for name in COUNTS if _is_count(found.get(name))}
    spreads = {name: _read_distribution(found[name]) for name in SPREADS if isinstance(found.get(name), dict)}
    lists = {name: _read_texts(found.get(name)) for name in LISTS}
    return {**counts, **spreads, **{name: texts for name, texts in lists.items() if texts}}


def _is_count(value: object) -> bool:
    text = str(value)
    return not isinstance(value, bool) and text.isascii() and text.isdigit() and len(text) <= LONGEST_COUNT


def _read_distribution(spread: Mapping[str, Any]) -> dict[str, Any]:
    """A distribution, with its buckets."""
    found = _keep_numbers(spread)
    buckets = spread.get("buckets")
    if isinstance(buckets, list):
        rows = [one for one in buckets[:MOST_BUCKETS] if isinstance(one, dict)]
        found["buckets"] = [_keep_numbers(one) for one in rows]
    return found


def _keep_numbers(values: Mapping[str, Any]) -> dict[str, Any]:
    """The numbers in it that have a name like those of Vertex AI."""
    found = ((name, value) for name, value in values.items() if NAME.fullmatch(name) and _is_number(value))
    return dict(islice(found, MOST_NUMBERS))


def _is_number(value: object) -> bool:
    return _is_count(value) or (isinstance(value, float) and math.isfinite(value))


def _read_texts(value: object) -> list[str]:
    """Each in one line that a database takes."""
    found = value[:MOST_REASONS] if isinstance(value, list) else []
    return [escape(str(one)[:LONGEST_REASON])[:LONGEST_REASON] for one in found]


def _count_steps(stats: Mapping[str, Any]) -> int | None:
    steps = int(stats.get("tuningStepCount", 0))
    return steps if 0 < steps <= MOST_STEPS else None


def _explain(job: TuningJob, error: RemoteError | None) -> RemoteError | None:
    """Vertex AI says that a process ended with 1; why, its last words say."""
    if error is None:
        return None
    log = get_gateway().storage.read_text(f"{job.output_uri.rstrip('/')}/{LOGS}/train.log", LOG_BYTES) or ""
    told = [escape(one) for one in FAILED.findall(log)]
    if not told or told[-1] in error.message:
        return error
    return replace(error, message=join(told[-1], error.message))
