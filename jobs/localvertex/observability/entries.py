"""Cloud Logging's entries: the logs of custom and tuning jobs, and those of the model servers of endpoints."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from google.cloud.aiplatform_v1beta1.types import CustomJob, Endpoint, TuningJob

from jobs.localvertex.api.errors import invalid
from jobs.localvertex.api.filtering.expressions import Test, parse_expression
from jobs.localvertex.api.filtering.filters import DOES_NOT_NEED_ALL, OPERATORS, page, read_time
from jobs.localvertex.api.wire import Json
from jobs.localvertex.serving.pool import name_of
from jobs.localvertex.store import Store

TASK = "workerpool0-0"
LOG_BYTES, MOST_NAMES = 1_000_000, 100
_PROJECT = re.compile(r"projects/([^/]+)")
_SECOND = re.compile(r"(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d)(?:,\d+)? ")
_LABELS = ("job_id", "task_name", "endpoint_id", "location", "project_id", "resource_container")
IDS = ("resource.labels.job_id", "resource.labels.endpoint_id")
PATHS = (
    "resource.type", *(f"resource.labels.{label}" for label in _LABELS), "timestamp", "insertId", "severity", "logName",
)  # fmt: skip


@dataclass(frozen=True)
class Folders:
    """Where the logs of a job and of a deployed model lie, by the names of both."""

    of_job: Callable[[str], Path]
    of_deployed: Callable[[str], Path]


def list_entries(store: Store, folders: Folders, body: object) -> Json:
    asked = body if isinstance(body, dict) else {}
    names, text, order = (asked.get(key) for key in ("resourceNames", "filter", "orderBy"))
    size, token = asked.get("pageSize") or 0, asked.get("pageToken") or ""
    if not isinstance(names, list) or not all(isinstance(one, str) for one in names):
        raise invalid("resource_names must name the projects, such as projects/p.", "resource_names")
    if len(names) > MOST_NAMES:
        raise invalid(f"resource_names must be at most {MOST_NAMES}.", "resource_names")
    if not isinstance(text or "", str) or not isinstance(size, int) or not isinstance(token, str):
        raise invalid("filter and page_token must be texts, and page_size a number.", "filter")
    wanted, only = _read_filter(text or "")
    found = [one for name in dict.fromkeys(names) for one in _entries(store, folders, name, only) if wanted(one)]
    found.sort(key=lambda one: (one["timestamp"], one["insertId"]), reverse=str(order or "").endswith(" desc"))
    shown, following = page(found, size, token)
    return {"entries": shown, **({"nextPageToken": following} if following else {})}


def _read_filter(text: str) -> tuple[Test, set[str]]:
    """With the ids of the resources that fit at all, so that no other log is read; empty where any may fit."""
    ids: set[str] = set()

    def compare(path: str, op: str, wanted: str) -> Test:
        if op == "=" and path in IDS:
            ids.add(wanted)
        return _compare(path, op, wanted)

    test = parse_expression(text, compare) if text.strip() else lambda _: True
    return test, set() if DOES_NOT_NEED_ALL.search(text) else ids


def _entries(store: Store, folders: Folders, resource: str, only: set[str]) -> Iterator[Json]:
    found = _PROJECT.match(resource)
    project = found[1] if found else ""
    if not project:
        return
    jobs: list[CustomJob | TuningJob] = [
        *store.all(CustomJob, f"projects/{project}"), *store.all(TuningJob, f"projects/{project}")
    ]  # fmt: skip
    for job in (one for one in jobs if not only or _id_of(one.name) in only):
        labels = {"job_id": _id_of(job.name), "project_id": project, "task_name": TASK}
        path = folders.of_job(job.name) / "train.log"
        yield from _lines(path, job.create_time, project, "ml_job", labels)
    for endpoint in store.all(Endpoint, f"projects/{project}"):
        if not only or _id_of(endpoint.name) in only:
            yield from _of_endpoint(folders, endpoint, project)


def _of_endpoint(folders: Folders, endpoint: Endpoint, project: str) -> Iterator[Json]:
    """The lines of a model server have no times: theirs is when it began to answer."""
    labels = {
        "endpoint_id": _id_of(endpoint.name), "location": endpoint.name.split("/")[3], "resource_container": project,
    }  # fmt: skip
    for deployed in endpoint.deployed_models:
        folder = folders.of_deployed(name_of(endpoint.name, deployed.id))
        ready = folder / "port.json"
        began = datetime.fromtimestamp(ready.stat().st_mtime, UTC) if ready.is_file() else deployed.create_time
        kind = "aiplatform.googleapis.com/Endpoint"
        yield from _lines(folder / "server.log", began, project, kind, labels, prefix=f"{deployed.id}-")


def _lines(
    path: Path, begin: datetime, project: str, kind: str, labels: dict[str, str], *, prefix: str = ""
) -> Iterator[Json]:
    source = TASK if kind == "ml_job" else "aiplatform.googleapis.com%2Fprediction_container"
    moment = begin.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    for place, line in _read(path):
        if dated := _SECOND.match(line):
            moment = max(moment, f"{dated[1]}T{dated[2]}Z")
        yield {
            "logName": f"projects/{project}/logs/{source}",
            "resource": {"type": kind, "labels": labels},
            "timestamp": moment,
            "insertId": f"{prefix}{place:012}",
            "severity": "INFO",
            "textPayload": line[dated.end() :] if dated else line,
        }


def _read(path: Path) -> Iterator[tuple[int, str]]:
    """Lines, each with its place in the file, which stays the same while the file grows. Of a long one the end."""
    try:
        with path.open("rb") as file:
            place = max(0, path.stat().st_size - LOG_BYTES)
            file.seek(place)
            if place:
                place += len(file.readline())  # the rest of a line
            lines = file.read(LOG_BYTES).splitlines(keepends=True)
    except FileNotFoundError:
        return
    for line in lines:
        yield place, line.decode(errors="replace").rstrip("\r\n")
        place += len(line)


def _id_of(name: str) -> str:
    return name.rpartition("/")[2]


def _compare(path: str, op: str, wanted: str) -> Test:
    if path not in PATHS or op not in OPERATORS:
        raise invalid(f"Invalid filter expression: {path} {op} is not known here.", "filter")
    if path == "timestamp":
        target = read_time(wanted)
        if target is None:
            raise invalid(f"Invalid filter expression: {wanted!r} is no time.", "filter")
        return lambda entry: OPERATORS[op](read_time(entry["timestamp"]), target)
    return lambda entry: OPERATORS[op](_value(entry, path), wanted)


def _value(entry: Json, path: str) -> Any:
    """Of a label that this kind of resource lacks, nothing."""
    found: Any = entry
    for key in path.split("."):
        found = found.get(key, "")
    return found
