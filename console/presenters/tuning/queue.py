"""Whether the queue of tuning jobs is paused, and what the person who looks may do about it."""

from dataclasses import dataclass

from django.contrib.auth.models import User

from jobs.models import QueuePause
from jobs.services.tuning import policies, queue


@dataclass(frozen=True)
class Queue:
    pause: QueuePause | None
    why_not_pause: str
    why_not_resume: str


def queue_for(person: User) -> Queue:
    pause = queue.find_pause()
    return Queue(pause, policies.why_not_pause(person, pause), policies.why_not_resume(person, pause))
