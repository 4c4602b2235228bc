"""What the console puts on its queues. In the tests they are in the memory of their process."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from celery import current_app

QUEUES = ("jobs", "chat")


def take_messages() -> list[tuple[str, dict[str, Any]]]:
    """All that wait, by queue in their order: the names of tasks, and what they are given."""
    with current_app.connection_for_read() as connection:
        channel = connection.channel()
        return [message for queue in QUEUES for message in _take(channel, queue)]


def _take(channel: Any, queue: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for _ in range(channel.queue_declare(queue).message_count):
        message = channel.basic_get(queue, no_ack=True)
        _arguments, given, _options = message.decode()
        yield message.headers["task"], given


@contextmanager
def broker_at(url: str, options: dict[str, Any] | None = None) -> Iterator[None]:
    """The messages of this process go there."""
    conf = current_app.conf
    before = conf.broker_url, conf.broker_transport_options
    conf.broker_url, conf.broker_transport_options = url, options or {}
    current_app._after_fork()
    try:
        yield
    finally:
        current_app.pool.force_close_all()
        conf.broker_url, conf.broker_transport_options = before
        current_app._after_fork()
