"""Writes down for the status page that this process works, as long as it does.

Whether it is ended and started again does not depend on this: a full disk keeps it from writing.
"""

import asyncio
import logging
import threading
from collections.abc import Callable
from typing import Final

from django.db import close_old_connections
from django.utils import timezone

from jobs.services.health import processes, schema

REPORT_SECONDS: Final = 10.0
UNTIL_WELL_SECONDS: Final = 0.5
STOP_SECONDS: Final = 1.0
ANSWER_SECONDS: Final = 5.0
logger = logging.getLogger(__name__)


class Reporter(threading.Thread):
    def __init__(self, kind: str, is_well: Callable[[], bool]) -> None:
        super().__init__(name="reporter", daemon=True)
        self.kind, self.is_well = kind, is_well
        self.stopping = threading.Event()
        self.has_reported = False

    def stop(self) -> None:
        """Waits a moment only: a report that is out of date says so by its age."""
        self.stopping.set()
        self.join(STOP_SECONDS)

    def run(self) -> None:
        while not self.stopping.wait(REPORT_SECONDS if self.has_reported else UNTIL_WELL_SECONDS):
            if self.is_well():
                self._write(processes.report)
        if self.has_reported:
            self._write(processes.withdraw)

    def _write(self, write: Callable[..., None]) -> None:
        try:
            write(self.kind, timezone.now())
        except Exception as error:
            logger.warning("That this process works could not be written down: %s", error)
        finally:
            close_old_connections()
            self.has_reported = True


class Life:
    """Of a web process: what it does beside answering."""

    def __init__(self) -> None:
        self._reporter: Reporter | None = None

    async def begin(self) -> str:
        """A sentence when it must not start."""
        if problem := await asyncio.to_thread(schema.why_not_use):
            return problem
        loop = asyncio.get_running_loop()
        self._reporter = Reporter("web", lambda: answers(loop))
        self._reporter.start()
        return ""

    async def end(self) -> None:
        if self._reporter:
            await asyncio.to_thread(self._reporter.stop)


def answers(loop: asyncio.AbstractEventLoop) -> bool:
    """Asked from another thread: whether the loop comes round."""
    came_round = threading.Event()
    try:
        loop.call_soon_threadsafe(came_round.set)
    except RuntimeError:
        return False
    return came_round.wait(ANSWER_SECONDS)
