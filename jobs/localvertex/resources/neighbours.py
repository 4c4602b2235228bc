"""What `gcloud ai` asks other APIs of Google on its way: quotas before a deployment, and the lines of a job's log.

They have no messages in Google's package for Vertex AI, and no gRPC here.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from google.cloud.aiplatform_v1beta1.types import CustomJob

from jobs.localvertex.api.errors import invalid
from jobs.localvertex.api.filtering.expressions import Test, parse_expression
from jobs.localvertex.api.filtering.filters import OPERATORS, page
from jobs.localvertex.api.hosts import REGIONS
from jobs.localvertex.api.wire import Json
from jobs.localvertex.resources.call import Parts

PLENTY = "1000000"  # of whatever has a quota: it never runs out
TASK = "workerpool0-0"
_QUOTA = re.compile(
    r"/v1/(?P<name>projects/[^/:]+/locations/global/services/aiplatform\.googleapis\.com/quotaInfos/(?P<id>\w+))"
)
_USAGE = re.compile(r"/v3/projects/[^/:]+/timeSeries")
_ENTRIES = re.compile(r"/v2/entries:list")
_PROJECT = re.compile(r"projects/([^/]+)")
_SECOND = re.compile(r"(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d) ")
_PATHS = ("resource.type", "resource.labels.job_id", "resource.labels.task_name", "timestamp", "insertId", "severity")


def is_asked(verb: str, path: str) -> bool:
    patterns = {"GET": (_QUOTA, _USAGE), "POST": (_ENTRIES,)}.get(verb, ())
    return any(pattern.fullmatch(path) for pattern in patterns)


def answer(parts: Parts, path: str, body: object) -> Json:
    if found := _QUOTA.fullmatch(path):
        return _quota(found["name"], found["id"])
    return {} if _USAGE.fullmatch(path) else _list_entries(parts, body)


def _quota(name: str, identifier: str) -> Json:
    """Cloud Quotas' QuotaInfo."""
    regions = [
        {"dimensions": {"region": region}, "details": {"value": PLENTY}, "applicableLocations": [region]}
        for region in REGIONS
    ]
    return {"name": name, "quotaId": identifier, "service": "aiplatform.googleapis.com", "dimensionsInfos": regions}


def _list_entries(parts: Parts, body: object) -> Json:
    """Cloud Logging's entries of custom jobs."""
    asked = body if isinstance(body, dict) else {}
    names, text, order = (asked.get(key) for key in ("resourceNames", "filter", "orderBy"))
    size, token = asked.get("pageSize") or 0, asked.get("pageToken") or ""
    if not isinstance(names, list) or not all(isinstance(one, str) for one in names):
        raise invalid("resource_names must name the projects, such as projects/p.", "resource_names")
    if not isinstance(text or "", str) or not isinstance(size, int) or not isinstance(token, str):
        raise invalid("filter and page_token must be texts, and page_size a number.", "filter")
    wanted = parse_expression(text, _compare) if text and text.strip() else lambda _: True
    found = [one for name in names for one in _entries(parts, name) if wanted(one)]
    found.sort(key=lambda one: (one["timestamp"], one["insertId"]), reverse=str(order or "").endswith(" desc"))
    shown, following = page(found, size, token)
    return {"entries": shown, **({"nextPageToken": following} if following else {})}


def _entries(parts: Parts, resource: str) -> Iterator[Json]:
    found = _PROJECT.match(resource)
    project = found[1] if found else ""
    for job in parts.store.all(CustomJob, f"projects/{project}") if project else ():
        path = parts.runner.folder(job.name) / "train.log"
        moment = job.create_time.strftime("%Y-%m-%dT%H:%M:%SZ")
        for number, line in enumerate(path.read_text(errors="replace").splitlines() if path.exists() else (), start=1):
            if dated := _SECOND.match(line):
                moment = max(moment, f"{dated[1]}T{dated[2]}Z")
            yield _entry(job, project, number, moment, line[dated.end() :] if dated else line)


def _entry(job: CustomJob, project: str, number: int, moment: str, text: str) -> Json:
    identifier = job.name.rpartition("/")[2]
    return {
        "logName": f"projects/{project}/logs/{TASK}",
        "resource": {
            "type": "ml_job",
            "labels": {"job_id": identifier, "project_id": project, "task_name": TASK},
        },
        "timestamp": moment,
        "insertId": f"{number:09}",
        "severity": "INFO",
        "textPayload": text,
    }


def _compare(path: str, op: str, wanted: str) -> Test:
    if path not in _PATHS or op not in OPERATORS:
        raise invalid(f"Invalid filter expression: {path} {op} is not known here.", "filter")
    if path == "timestamp":
        target = _moment(wanted)
        return lambda entry: OPERATORS[op](_moment(entry["timestamp"]), target)
    return lambda entry: OPERATORS[op](_value(entry, path), wanted)


def _moment(text: str) -> datetime:
    """Clients write nanoseconds, which Python's library does not read."""
    try:
        found = datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", text))
    except ValueError:
        raise invalid(f"Invalid filter expression: {text!r} is no time.", "filter") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _value(entry: Json, path: str) -> Any:
    found: Any = entry
    for key in path.split("."):
        found = found[key]
    return found
