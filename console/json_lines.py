"""A log of one JSON object a line (LOG_FORMAT=json), with what the work of the moment belongs to.

Each value is a string of its own field. What a record was given by name is not taken over, so nothing that comes from
outside makes a field; all but ASCII is escaped, so nothing ends a line or turns the direction of a text.
"""

import json
import logging
import os
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.utils.functional import LazyObject, empty

from jobs import origin
from jobs.log_lines import hide


class Process:
    """`kind`: web, worker, chat, beat; of anything else, such as a command, manage."""

    kind = "manage"


@dataclass(frozen=True)
class Task:
    """`job`: the id that its message names, of a tuning job or whatever else it is about."""

    name: str
    job: str


_task: ContextVar[Task | None] = ContextVar("task", default=None)


def begin_task(name: str, named: Mapping[str, Any]) -> None:
    ids = [str(value) for key, value in named.items() if key.endswith("_id")]
    _task.set(Task(name, ids[0] if ids else ""))


def end_task() -> None:
    _task.set(None)


class JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line = {
            "time": time.replace("+00:00", "Z"),
            "level": record.levelname,
            "logger": record.name,
            "message": hide(record.getMessage()),
            "process": Process.kind,
            "pid": str(os.getpid()),
            **context(record),
            "exception": hide(self.exception(record)),
        }
        return json.dumps({name: value for name, value in line.items() if value})

    def exception(self, record: logging.LogRecord) -> str:
        traceback = self.formatException(record.exc_info) if record.exc_info else record.exc_text or ""
        return "\n".join(filter(None, (traceback, record.stack_info)))


def context(record: logging.LogRecord) -> dict[str, str]:
    """Of the request or the task; empty where there is none. Django logs what it refused when all is over, and says
    what it was asked."""
    asked, task, request = origin.current(), _task.get(), getattr(record, "request", None)
    request_id = asked.request_id if asked else getattr(record, "request_id", getattr(request, "id", ""))
    return {
        "request_id": str(request_id),
        "actor": actor(asked.user() if asked else getattr(request, "user", None)),
        "task": task.name if task else "",
        "job": task.job if task else "",
    }


def actor(user: Any) -> str:
    """The number of the account, if who asks is known already: a log must not ask the database."""
    if isinstance(user, LazyObject) and user._wrapped is empty:
        return ""
    return str(getattr(user, "pk", None) or "")
