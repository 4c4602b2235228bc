"""Asks the machine that trains and serves what memory it has: a page that shows whether something fits."""

from django.utils import timezone

from console.web.http import ConsoleRequest
from jobs import tasks
from jobs.services.costs import memory


def request_memory(request: ConsoleRequest, base_model: str) -> None:
    if memory.ask(base_model, timezone.now()):
        tasks.enqueue_after_commit(tasks.look_at_memory, base_model=base_model, user_id=request.user.pk)
