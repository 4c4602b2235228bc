"""Who can do their work now: this web process, by itself, and each other kind, by what its processes report.

A dead worker makes no web process unready: whoever spreads requests would then send them nowhere, and there would be no
page that says what is wrong. Each answer is a sentence, empty when all is well.
"""

import threading
import time
from collections.abc import Callable
from datetime import datetime

from jobs import shortages
from jobs.errors import StoreUnavailable
from jobs.files import store

from . import schema, status

# For how long an answer of the file store counts: it is another machine's, and may cost money.
ASKED_SECONDS = 5.0
NO_FILE = "owner/readiness"

Check = Callable[[datetime], str]


class Recent:
    """What a question was answered a moment ago; one caller asks for all."""

    def __init__(self, ask: Callable[[], str]) -> None:
        self._ask, self._lock = ask, threading.Lock()
        self._found, self._at = "", float("-inf")

    def __call__(self) -> str:
        with self._lock:
            if time.monotonic() - self._at > ASKED_SECONDS:
                self._found, self._at = self._ask(), time.monotonic()
            return self._found

    def forget(self) -> None:
        self._at = float("-inf")


def _ask_files() -> str:
    """By the name of a file that is never there."""
    try:
        store.exists(NO_FILE)
    except StoreUnavailable as error:
        return str(error)
    return ""


files_problem = Recent(_ask_files)

# What a web process needs itself.
WEB: dict[str, Check] = {
    "database": lambda now: status.database_problem(),
    "migrations": lambda now: schema.lacks(),
    "broker": lambda now: status.broker_problem(),
    "files": lambda now: files_problem(),
    "disk": lambda now: shortages.problem_with_disk(),
}
PROCESSES: dict[str, Check] = {
    "worker": status.worker_problem,
    "scheduler": status.scheduler_problem,
    "chat": status.chat_problem,
}
EVERYTHING = "all"
KINDS: dict[str, dict[str, Check]] = {
    "web": WEB,
    **{name: {name: check} for name, check in PROCESSES.items()},
    EVERYTHING: WEB | PROCESSES,
}


def run_checks(checks: dict[str, Check], now: datetime) -> dict[str, str]:
    return {name: check(now) for name, check in checks.items()}
