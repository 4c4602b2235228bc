"""What an answer that has no text yet is waiting for."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.utils import timezone

from jobs.models import Message, Role
from jobs.states import MessageState

WARM = timedelta(minutes=10)
# Seconds between two requests to a model that starts, and for how long it is asked at all.
FIRST_PAUSE, LONGEST_PAUSE, LONGEST_START = 5.0, 30.0, 600.0
PATIENCE = timedelta(seconds=5)
WORKER, FIRST_TOKEN, START = "worker", "first_token", "start"


@dataclass(frozen=True)
class Backoff:
    """In seconds. Each pause is longer than the one before by half."""

    first: float = FIRST_PAUSE
    longest: float = LONGEST_PAUSE
    total: float = LONGEST_START


BACKOFF = Backoff()


def pauses(backoff: Backoff) -> Iterator[float]:
    pause, waited = backoff.first, 0.0
    while waited < backoff.total:
        yield pause
        waited, pause = waited + pause, min(pause * 1.5, backoff.longest)


def wait_of(message: Message, now: datetime | None = None) -> tuple[str, int]:
    """(what for, for how many seconds); ("", 0) when text came already or nothing is awaited."""
    now = now or timezone.now()
    if message.state == MessageState.WAITING:
        return WORKER, _since(message.created_at, now)
    if message.state != MessageState.STREAMING or message.content:
        return "", 0
    # Claiming the row wrote `updated_at`; saving what came so far does not.
    seconds = _since(message.updated_at, now)
    return (START if seconds >= PATIENCE.seconds and is_cold(message, now) else FIRST_TOKEN), seconds


def _since(moment: datetime, now: datetime) -> int:
    return max(0, int((now - moment).total_seconds()))


def is_cold(message: Message, now: datetime) -> bool:
    """Only where a model is put to sleep: by the local server, and on Google Cloud by an endpoint without replicas."""
    endpoint = message.conversation.endpoint
    if endpoint is None or not (settings.VERTEX_API_ENDPOINT or endpoint.model.min_replicas == 0):
        return False
    idle = endpoint.model.serving_options.get("idle_minutes")
    warm = WARM if idle is None else timedelta(minutes=idle)
    answers = Message.objects.filter(role=Role.ASSISTANT, conversation__endpoint=endpoint, updated_at__gte=now - warm)
    return not answers.exclude(pk=message.pk).filter(timings__has_key="first_token").exists()
