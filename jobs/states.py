"""The states of everything that changes by itself, and the only moves allowed between them.

`TuningState` uses Vertex AI's JobState names without their prefix. `Phase` says how far the console has come with
creating the remote resource, which is another question: a job can be QUEUED for the person and AMBIGUOUS for us.
"""

from collections.abc import Mapping

from django.db.models import TextChoices
from django.utils.translation import gettext_lazy as _

from .errors import InvalidTransition


class TuningState(TextChoices):
    QUEUED = "QUEUED", _("Queued")
    PENDING = "PENDING", _("Pending")
    RUNNING = "RUNNING", _("Running")
    SUCCEEDED = "SUCCEEDED", _("Succeeded")
    FAILED = "FAILED", _("Failed")
    CANCELLING = "CANCELLING", _("Cancelling")
    CANCELLED = "CANCELLED", _("Cancelled")
    PAUSED = "PAUSED", _("Paused")
    EXPIRED = "EXPIRED", _("Expired")
    PARTIALLY_SUCCEEDED = "PARTIALLY_SUCCEEDED", _("Partially succeeded")


class EndpointState(TextChoices):
    DEPLOYING = "DEPLOYING", _("Deploying")
    READY = "READY", _("Ready")
    UNDEPLOYING = "UNDEPLOYING", _("Undeploying")
    UNDEPLOYED = "UNDEPLOYED", _("Undeployed")
    DELETING = "DELETING", _("Deleting")
    DELETED = "DELETED", _("Deleted")
    FAILED = "FAILED", _("Failed")


class DeployedState(TextChoices):
    """Of a model that is on an endpoint beside others."""

    DEPLOYING = "DEPLOYING", _("Deploying")
    READY = "READY", _("Ready")
    UNDEPLOYING = "UNDEPLOYING", _("Undeploying")
    UNDEPLOYED = "UNDEPLOYED", _("Undeployed")
    FAILED = "FAILED", _("Failed")


class Phase(TextChoices):
    """How sure we are that the remote resource exists."""

    INTENT = "INTENT", _("Not sent yet")
    SUBMITTING = "SUBMITTING", _("Being sent")
    AMBIGUOUS = "AMBIGUOUS", _("Sent, outcome unknown")
    RETRY_OK = "RETRY_OK", _("Known not to exist, may be sent again")
    BOUND = "BOUND", _("Exists")
    NEEDS_DECISION = "NEEDS_DECISION", _("Outcome unknown, waiting for a decision")
    CLOSED = "CLOSED", _("Nothing left to do")


class MessageState(TextChoices):
    COMPLETE = "COMPLETE", _("Complete")
    WAITING = "WAITING", _("Waiting")
    STREAMING = "STREAMING", _("Streaming")
    STOPPED = "STOPPED", _("Stopped")
    INTERRUPTED = "INTERRUPTED", _("Interrupted")
    FAILED = "FAILED", _("Failed")


T, E, D, P, M = TuningState, EndpointState, DeployedState, Phase, MessageState

# From wherever it was seen last: a look sees a state, never the moves between two looks.
TUNING_ENDS = frozenset({T.SUCCEEDED, T.PARTIALLY_SUCCEEDED, T.FAILED, T.CANCELLED, T.EXPIRED})

TUNING_TRANSITIONS: Mapping[str, frozenset[str]] = {
    T.QUEUED: TUNING_ENDS | {T.PENDING, T.RUNNING, T.PAUSED, T.CANCELLING},
    T.PENDING: TUNING_ENDS | {T.RUNNING, T.PAUSED, T.CANCELLING},
    T.RUNNING: TUNING_ENDS | {T.PENDING, T.PAUSED, T.CANCELLING},
    T.PAUSED: TUNING_ENDS | {T.PENDING, T.RUNNING, T.CANCELLING},
    T.CANCELLING: TUNING_ENDS,
    T.SUCCEEDED: frozenset(),
    T.PARTIALLY_SUCCEEDED: frozenset(),
    T.FAILED: frozenset(),
    T.CANCELLED: frozenset(),
    T.EXPIRED: frozenset(),
}

ENDPOINT_TRANSITIONS: Mapping[str, frozenset[str]] = {
    E.DEPLOYING: frozenset({E.READY, E.FAILED, E.UNDEPLOYING, E.UNDEPLOYED, E.DELETING, E.DELETED}),
    E.READY: frozenset({E.UNDEPLOYING, E.UNDEPLOYED, E.DELETING, E.FAILED, E.DELETED}),
    E.UNDEPLOYING: frozenset({E.UNDEPLOYED, E.DELETING, E.FAILED, E.DELETED}),
    E.UNDEPLOYED: frozenset({E.DELETING, E.DELETED}),
    E.DELETING: frozenset({E.DELETED, E.FAILED}),
    E.FAILED: frozenset({E.DELETING, E.DELETED}),
    E.DELETED: frozenset(),
}

DEPLOYED_TRANSITIONS: Mapping[str, frozenset[str]] = {
    D.DEPLOYING: frozenset({D.READY, D.FAILED, D.UNDEPLOYING, D.UNDEPLOYED}),
    D.READY: frozenset({D.UNDEPLOYING, D.UNDEPLOYED}),
    D.UNDEPLOYING: frozenset({D.UNDEPLOYED}),
    D.UNDEPLOYED: frozenset(),
    D.FAILED: frozenset(),
}

PHASE_TRANSITIONS: Mapping[str, frozenset[str]] = {
    P.INTENT: frozenset({P.SUBMITTING, P.BOUND, P.CLOSED}),
    P.SUBMITTING: frozenset({P.BOUND, P.AMBIGUOUS, P.RETRY_OK, P.CLOSED}),
    P.AMBIGUOUS: frozenset({P.BOUND, P.RETRY_OK, P.NEEDS_DECISION, P.CLOSED}),
    P.RETRY_OK: frozenset({P.SUBMITTING, P.BOUND, P.CLOSED}),
    P.NEEDS_DECISION: frozenset({P.BOUND, P.RETRY_OK, P.CLOSED}),
    P.BOUND: frozenset({P.CLOSED}),
    P.CLOSED: frozenset(),
}

MESSAGE_TRANSITIONS: Mapping[str, frozenset[str]] = {
    M.WAITING: frozenset({M.STREAMING, M.COMPLETE, M.STOPPED, M.INTERRUPTED, M.FAILED}),
    M.STREAMING: frozenset({M.COMPLETE, M.STOPPED, M.INTERRUPTED, M.FAILED}),
    M.COMPLETE: frozenset(),
    M.STOPPED: frozenset(),
    M.INTERRUPTED: frozenset(),
    M.FAILED: frozenset(),
}

TUNED = frozenset({T.SUCCEEDED, T.PARTIALLY_SUCCEEDED})
TUNING_UNSUCCESSFUL = TUNING_ENDS - TUNED
TUNING_NOT_BEGUN = frozenset({T.QUEUED, T.PENDING})
UNSENT = frozenset({P.INTENT, P.RETRY_OK})
UNSURE = frozenset({P.SUBMITTING, P.AMBIGUOUS, P.NEEDS_DECISION})
TUNING_TERMINAL = frozenset(state for state, after in TUNING_TRANSITIONS.items() if not after)
TUNING_LIVE = frozenset(TUNING_TRANSITIONS) - TUNING_TERMINAL
ENDPOINT_TRANSIENT = frozenset({E.DEPLOYING, E.UNDEPLOYING, E.DELETING})
DEPLOYED_TRANSIENT = frozenset({D.DEPLOYING, D.UNDEPLOYING})
DEPLOYED_LIVE = DEPLOYED_TRANSIENT | {D.READY}
MESSAGE_LIVE = frozenset({M.WAITING, M.STREAMING})
MESSAGE_CUT_OFF = frozenset({M.STOPPED, M.INTERRUPTED})


def check(table: Mapping[str, frozenset[str]], old: str, new: str) -> None:
    """Raise InvalidTransition unless `old` → `new` is in the table; staying put is always allowed."""
    if old != new and new not in table[old]:
        raise InvalidTransition(old, new)
