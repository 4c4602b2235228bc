"""Create a paid resource once: intent, claim, look, mark, one POST, and an honest word for what came back.

Tuning jobs and deployed models plug in a `Creation`. The row is claimed (`row_claim`) and holds its own id, which the
remote resource carries; so whoever comes after a crash can look for it instead of creating it again.
"""

import hashlib
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any, Generic, Protocol, TypeVar

from django.conf import settings

from jobs.models import DeployedModel, EventLevel, PublisherModel, TuningJob
from jobs.services import installation
from jobs.states import UNSENT, DeployedState, Phase, TuningState
from jobs.text.deferred import gettext as _, join
from jobs.vertex.errors import (
    AlreadyExists,
    LicenceRequired,
    NotAuthorised,
    NotSent,
    OverQuota,
    Refused,
    VertexError,
)

from .row_claim import NOW, Claim, ClaimLost, Event, Outcome, Row, mark, pause

logger = logging.getLogger(__name__)

R = TypeVar("R", TuningJob, DeployedModel)
Binding = tuple[Mapping[str, Any], list[Event]]
LOOKS = 8
TAKEN = "ALREADY_EXISTS"  # as Google calls it
# How often something is sent of which no trace is found afterwards.
MAX_SENDS = 8
POST_PAUSE = timedelta(seconds=60)
LATE_LOOK = timedelta(seconds=60)
FAILED = {TuningJob: TuningState.FAILED, DeployedModel: DeployedState.FAILED}


class Foreign(Exception):
    """What was found under our id was made by somebody else, or from other settings; `str` is the sentence."""


class Creation(Protocol):
    """`look` and what `prepare` gives answer with the columns that bind the row. `look`: None when there is nothing.
    `prepare` reads all that the request needs and sends nothing, so what fails there has not been sent."""

    @property
    def model(self) -> str: ...

    @property
    def window(self) -> timedelta: ...

    @property
    def after_window(self) -> Phase: ...

    def look(self) -> Binding | None: ...

    def prepare(self) -> Callable[[], Mapping[str, Any]]: ...

    def accept_licence(self) -> None: ...


def fingerprint(request: Mapping[str, Any]) -> str:
    text = json.dumps(request, sort_keys=True, default=str, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def labels(row: Row) -> dict[str, str]:
    return {"app-key": str(row.pk), "app-install": str(installation.get_id()), "app-hash": row.request_hash[:8]}


def is_ours(row: Row, found: Mapping[str, str]) -> bool:
    """A label that says otherwise. An absent one says nothing: Vertex AI shows an endpoint's only once it serves."""
    expected = labels(row)
    return all(found.get(name, expected[name]) == expected[name] for name in ("app-key", "app-hash"))


class Submission(Generic[R]):
    def __init__(self, claimed: Claim[R], creation: Creation) -> None:
        self.claimed: Claim[R] = claimed
        self.row: R = claimed.row
        self.creation = creation

    def step(self) -> Outcome:
        try:
            found: Binding | None = self.creation.look()
        except Foreign as error:
            return self._fail(TAKEN, str(error))
        if found is None:
            return self._send() if self.row.phase in UNSENT else self._nothing_found()
        return self._settle_found(*found)

    def _settle_found(self, columns: Mapping[str, Any], events: list[Event]) -> Outcome:
        return self._bind(columns, [(EventLevel.INFO, _("Found in Vertex AI from an earlier request.")), *events])

    def _send(self) -> Outcome:
        """After `mark` there is no way back: whatever happens, somebody has to look before this is sent again.

        A cancel in time has taken the lease away, so that `mark` fails.
        """
        now, create = self.claimed.now, self.creation.prepare()
        sent = {"phase": Phase.SUBMITTING, "submit_started_at": now, "attempt": self.row.attempt + 1, "empty_looks": 0}
        if not mark(self.claimed, **sent):
            raise ClaimLost
        try:
            columns = create()
        except VertexError as error:
            return self._not_created(error)
        except Exception:
            logger.exception("The outcome of creating %s is unknown", self.row.pk)
            return self._unknown()
        return self._bind(columns, [(EventLevel.INFO, _("Vertex AI accepted the request."))])

    def _not_created(self, error: VertexError) -> Outcome:
        if str(error) != self.row.notice:
            words = type(self.row).__name__, self.row.pk, type(error).__name__, error
            logger.warning("Creating %s %s: %s: %s", *words)
        if isinstance(error, NotSent):
            return self._wait(pause(), str(error))
        if isinstance(error, OverQuota):
            return self._over_quota(error)
        if isinstance(error, AlreadyExists):
            return Outcome(NOW, {"phase": Phase.AMBIGUOUS, "error_code": TAKEN, "notice": str(error)})
        if isinstance(error, LicenceRequired):
            return self._licence(error)
        if isinstance(error, NotAuthorised | Refused):
            return self._fail(error.code, str(error))
        return self._unknown(reason=join(str(error), _("The console looks for it in Vertex AI first.")))

    def _over_quota(self, error: OverQuota) -> Outcome:
        outcome = self._wait(self._quota_pause(), _("Waiting for quota. %s") % error)
        if not isinstance(self.row, TuningJob):
            return outcome
        return replace(outcome, changes={**outcome.changes, "quota_refused_at": self.claimed.now})

    def _licence(self, error: LicenceRequired) -> Outcome:
        if not self.row.accepts_licence or self.row.licence_sent_at:
            PublisherModel.objects.filter(name=self.creation.model).update(licence_acknowledged=False)
            remedy = _("Accept the terms on the page of %(model)s in Model Garden, then start again.")
            return self._fail(error.code, join(str(error), remedy % {"model": self.creation.model}))
        try:
            self.creation.accept_licence()
        except VertexError as refusal:
            if refusal.retryable:
                return self._wait(pause(), str(refusal))
            return self._fail(refusal.code, str(refusal))
        PublisherModel.objects.filter(name=self.creation.model).update(licence_acknowledged=True)
        event = (EventLevel.INFO, _("Accepted the licence of %s, as you asked.") % self.creation.model)
        return Outcome(NOW, {"phase": Phase.RETRY_OK, "licence_sent_at": self.claimed.now}, [event])

    def _nothing_found(self) -> Outcome:
        """Absence is believed only after eight whole looks in a row and a window of minutes."""
        if self.row.phase == Phase.NEEDS_DECISION:
            return Outcome(LATE_LOOK)
        looks = self.row.empty_looks + 1
        began = self.row.submit_started_at or self.claimed.began
        if looks < LOOKS or self.claimed.now - began < self.creation.window:
            return self._unknown(looks)
        if self.row.phase == Phase.SUBMITTING:
            return self._unknown(looks)
        return self._window_over()

    def _window_over(self) -> Outcome:
        """A name that is taken, by nothing of ours, stays so however often it is sent."""
        if self.row.error_code == TAKEN:
            return self._fail(TAKEN, self.row.notice)
        if self.creation.after_window == Phase.RETRY_OK and self.row.attempt >= MAX_SENDS:
            sentence = _("The request was sent %d times, and Vertex AI created nothing. Try again later.")
            return self._fail("UNAVAILABLE", sentence % self.row.attempt)
        if self.creation.after_window == Phase.RETRY_OK:
            event = (EventLevel.WARNING, _("It doesn't exist in Vertex AI, so the request is sent again."))
            return Outcome(NOW, {"phase": Phase.RETRY_OK, "notice": ""}, [event])
        sentence = _(
            "The console could not confirm that Vertex AI accepted this. Look for it in Vertex AI. Then start it "
            "again here, or give it up."
        )
        changes = {"phase": Phase.NEEDS_DECISION, "notice": sentence}
        return Outcome(LATE_LOOK, changes, [(EventLevel.WARNING, sentence)])

    def _unknown(self, looks: int = 0, reason: str = "") -> Outcome:
        """What was answered instead of a result is kept while it is looked for."""
        sentence = (
            reason
            or (self.row.notice if looks else "")
            or _("The request was sent, but no response came back. The console looks for it in Vertex AI first.")
        )
        changes = {"phase": Phase.AMBIGUOUS, "empty_looks": looks, "notice": sentence}
        events = [] if self.row.phase == Phase.AMBIGUOUS else [(EventLevel.WARNING, sentence)]
        return Outcome(timedelta(seconds=settings.VERTEX_LOOK_SECONDS), changes, events)

    def _bind(self, columns: Mapping[str, Any], events: list[Event]) -> Outcome:
        return Outcome(NOW, {"phase": Phase.BOUND, "notice": "", "empty_looks": 0, "error_code": "", **columns}, events)

    def _wait(self, delay: timedelta, notice: str) -> Outcome:
        events = [(EventLevel.WARNING, notice)] if notice != self.row.notice else []
        return Outcome(delay, {"phase": Phase.RETRY_OK, "notice": notice}, events)

    def _quota_pause(self) -> timedelta:
        return POST_PAUSE * min(int(self.row.attempt), 5)

    def _fail(self, code: str, message: str) -> Outcome:
        changes = {
            "state": FAILED[type(self.row)], "phase": Phase.CLOSED, "error_code": code, "error_message": message,
            "notice": "", "ended_at": self.claimed.now,
        }  # fmt: skip
        return Outcome(None, changes, [(EventLevel.ERROR, message)])
