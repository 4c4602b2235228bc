"""Keeps the answers that this process writes: one thread saves what came and reads who wants to stop, for all."""

import logging
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

from django.db import connection, transaction
from django.db.models import QuerySet
from django.utils import timezone

from jobs.models import Message
from jobs.states import MessageState

logger = logging.getLogger(__name__)

# So long after the death of its worker an answer is found at the latest, and a sweep later marked as cut off.
LEASE = timedelta(seconds=8)
LOOK_SECONDS = 0.25
SAVE_SECONDS = 1.0
# A lease is renewed with every saving, and this often while nothing comes.
RENEW_SECONDS = 2.0


class Clock:
    """Whether leases can be judged by the clock: not when it was put forward since the last time, or the machine slept,
    and their holders could not renew them yet."""

    def __init__(self) -> None:
        self._lead: float | None = None

    def forget(self) -> None:
        """As if it was asked never before."""
        self._lead = None

    def is_steady(self, now: datetime) -> bool:
        """Of a process that was asked never before, it is."""
        lead = now.timestamp() - time.monotonic()
        before, self._lead = self._lead, lead
        return before is None or lead - before < LEASE.total_seconds() / 2


class Answering(Protocol):
    @property
    def length(self) -> int: ...

    def text(self) -> str: ...

    def tell(self) -> None:
        """That somebody works on it: once, at the first look."""

    def stop(self) -> None:
        """Asked for again at every look until it has ended."""


@dataclass
class Kept:
    answering: Answering
    length: int = 0
    is_told: bool = False
    saved_at: float = field(default_factory=time.monotonic)

    def is_due(self, now: float) -> bool:
        elapsed = now - self.saved_at
        return elapsed >= RENEW_SECONDS or (elapsed >= SAVE_SECONDS and self.answering.length != self.length)


class Keeper:
    """Its thread has the one database connection that answers need while they are written, as long as there are any."""

    def __init__(self) -> None:
        self._kept: dict[UUID, Kept] = {}
        self._change = threading.Condition()
        self._thread: threading.Thread | None = None

    @contextmanager
    def keeping(self, message_id: UUID, answering: Answering) -> Iterator[None]:
        """The claim must be committed: a row that the keeper's connection does not see counts as one to stop."""
        if connection.in_atomic_block:
            raise RuntimeError("An answer cannot be written within a transaction: its keeper does not see the row.")
        with self._change:
            self._kept[message_id] = Kept(answering)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="chat-keeper", daemon=True)
                self._thread.start()
            self._change.notify()
        try:
            yield
        finally:
            with self._change:
                del self._kept[message_id]
                self._change.notify()

    def _run(self) -> None:
        while True:
            if kept := self._next():
                self._look(kept)

    def _next(self) -> dict[UUID, Kept]:
        """Those that there are a quarter of a second later. While there are none, no connection is held."""
        with self._change:
            if not self._kept:
                connection.close()
                self._change.wait_for(lambda: self._kept)
            self._change.wait_for(lambda: not self._kept, LOOK_SECONDS)
            return dict(self._kept)

    def _look(self, kept: dict[UUID, Kept]) -> None:
        """What cannot be read or written now is tried again at the next look."""
        try:
            found = dict(_streaming(kept).values_list("pk", "stop_requested_at"))
            for pk, each in kept.items():
                if not each.is_told:
                    each.is_told = True
                    each.answering.tell()
                if pk not in found or found[pk] is not None:
                    each.answering.stop()
            self._save({pk: each for pk, each in kept.items() if found.get(pk, True) is None})
        except Exception:
            logger.exception("Answers that are being written could not be kept")
            connection.close()

    def _save(self, kept: dict[UUID, Kept]) -> None:
        now = time.monotonic()
        texts = {pk: each.answering.text() for pk, each in kept.items() if each.is_due(now)}
        if not texts:
            return
        with transaction.atomic():
            for pk, text in texts.items():
                _streaming([pk]).update(content=text, lease_until=timezone.now() + LEASE)
        for pk, text in texts.items():
            kept[pk].saved_at, kept[pk].length = now, len(text)


def _streaming(message_ids: Iterable[UUID]) -> "QuerySet[Message]":
    return Message.objects.filter(pk__in=list(message_ids), state=MessageState.STREAMING)


keeper = Keeper()
