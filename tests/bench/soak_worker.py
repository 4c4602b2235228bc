"""What a worker of the soak does. The module is loaded once and forked: a worker that was killed is back at once."""

import _strptime  # type: ignore[import-not-found]  # noqa: F401
import threading
from collections.abc import Callable
from datetime import datetime
from multiprocessing.connection import Connection
from typing import Any
from uuid import UUID

import django

django.setup()

from django.db import close_old_connections  # noqa: E402

# Seconds of imports, most of them made by the first call otherwise.
from google.cloud import aiplatform_v1, aiplatform_v1beta1, storage  # noqa: E402, F401

import jobs.vertex.sdk.clients  # noqa: E402, F401
from jobs.models import TuningJob  # noqa: E402
from jobs.services.tuning import jobs as tuning  # noqa: E402
from tests.support import factories  # noqa: E402
from tests.support.running import GEMMA  # noqa: E402


def create(key: str, number: int) -> None:
    owner = factories.owner()
    spec = factories.tuning_spec(
        display_name=f"Soak {number}", base_model=GEMMA, output_uri=f"gs://garden-local/soak/{key}",
        dataset=owner.datasets.get(), owner=owner,
    )  # fmt: skip
    tuning.create(owner, key=UUID(key), spec=spec)


def advance(key: str, now: str) -> None:
    tuning.advance(UUID(key), datetime.fromisoformat(now))


def decide(key: str) -> None:
    tuning.decide(TuningJob.objects.get(pk=key), again=True)


ACTIONS: dict[str, Callable[..., None]] = {"create": create, "advance": advance, "decide": decide}


def do_at_once(action: Callable[..., None], times: int, arguments: tuple[Any, ...]) -> None:
    def call() -> None:
        try:
            action(*arguments)
        finally:
            close_old_connections()

    threads = [threading.Thread(target=call) for _ in range(times - 1)]
    for thread in threads:
        thread.start()
    call()
    for thread in threads:
        thread.join()


def serve(orders: Connection) -> None:
    """Answers each (action, times, arguments) with the row's phase and due time as they are then."""
    while True:
        action, times, arguments = orders.recv()
        do_at_once(ACTIONS[action], times, arguments)
        row = TuningJob.objects.filter(pk=arguments[0]).first()
        due = row.next_check_at.isoformat() if row and row.next_check_at else ""
        orders.send((row.phase if row else "", due))
