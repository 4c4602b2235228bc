"""How a worker takes the message of an answer: its queue is one that the broker keeps no note of."""

from celery.worker.request import Request


class NoAckRequest(Request):  # type: ignore[misc]  # Celery has no types
    """There is nothing to take back at the broker, which would be asked before the answer begins."""

    def acknowledge(self) -> None:
        self.acknowledged = True
