"""Cloud Logging's `entries:list`, of the resource that a job or an endpoint is there.

The filters are those that `gcloud ai custom-jobs stream-logs` and Google's pages on the logs of endpoints use.
"""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.conf import settings

from jobs.log_lines import escape
from jobs.vertex.moments import read_moment, write_moment
from jobs.vertex.sdk.clients import location_of
from jobs.vertex.values import LogLine

from .rest import ask

LOGGING = "logging"
LONGEST_LINE = 4000
MOST_ENTRIES = 1000


class Logs:
    def of_job(self, name: str, since: datetime, most: int) -> list[LogLine]:
        wanted = f'resource.type="ml_job" AND resource.labels.job_id={json.dumps(_id_of(name))}'
        return _read(wanted, since, most)

    def of_endpoint(self, name: str, since: datetime, most: int) -> list[LogLine]:
        wanted = (
            'resource.type="aiplatform.googleapis.com/Endpoint"'
            f" AND resource.labels.endpoint_id={json.dumps(_id_of(name))}"
            f" AND resource.labels.location={json.dumps(location_of(name))}"
        )
        return _read(wanted, since, most)


def _id_of(name: str) -> str:
    return name.rpartition("/")[2]


def _read(wanted: str, since: datetime, most: int) -> list[LogLine]:
    """From the end, since a page holds so many only. An entry without a text says nothing to people."""
    body = {
        "resourceNames": [f"projects/{settings.VERTEX_PROJECT}"],
        "filter": f'{wanted} AND timestamp>="{write_moment(since)}"',
        "orderBy": "timestamp desc",
        "pageSize": min(most, MOST_ENTRIES),
    }
    found = ask("POST", LOGGING, "v2/entries:list", body).get("entries", [])
    entries = found if isinstance(found, list) else []
    return [line for entry in reversed(entries[:most]) if isinstance(entry, dict) and (line := _line(entry))]


def _line(entry: Mapping[str, Any]) -> LogLine | None:
    text, at = _text(entry), read_moment(entry.get("timestamp"))
    if not text or at is None:
        return None
    severity = str(entry.get("severity", "DEFAULT"))[:20]
    words = [at.strftime("%Y-%m-%d %H:%M:%S"), *([] if severity == "DEFAULT" else [severity]), text]
    return LogLine(at, escape(" ".join(words)[:LONGEST_LINE]))


def _text(entry: Mapping[str, Any]) -> str:
    payload = entry.get("jsonPayload")
    found = entry.get("textPayload") or (payload.get("message") if isinstance(payload, dict) else "")
    if not found and isinstance(payload, dict):
        found = json.dumps(payload, ensure_ascii=False)
    return str(found or "").rstrip("\n")
