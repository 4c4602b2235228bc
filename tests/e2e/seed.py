"""Puts tuning jobs in many states into the database of a console that runs: `python -m tests.e2e.seed`, with its
CONSOLE_DATA_DIR in the environment. Prints their ids by name as JSON. Nothing is sent: none of them is ever due."""

import json
import math
import os
from datetime import timedelta
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")

import django

django.setup()

from django.utils import timezone  # noqa: E402  # models are there only after setup()

from jobs.models import Metric, TuningJob, thinned  # noqa: E402
from jobs.services import accounts  # noqa: E402
from tests import factories  # noqa: E402

NOW = timezone.now()
CHECKPOINTS = [{"checkpoint_id": str(number), "epoch": number, "step": 140 * number} for number in (1, 2, 3)]


def made(name: str, **values: Any) -> TuningJob:
    return factories.job(display_name=name, next_check_at=None, epochs=3, total_steps=420, **values)


def learnt(job: TuningJob, steps: int, end: float) -> TuningJob:
    losses = [end + 2 * math.exp(-3 * step / 420) + 0.2 * math.sin(step * step) for step in range(steps)]
    rows = []
    for step, loss in enumerate(losses, 1):
        at = NOW - timedelta(seconds=4 * (steps - step))
        rows.append(Metric(job=job, tag="/train_total_loss", step=step, value=loss, wall_time=at))
        if step % 140 == 0:
            rows.append(Metric(job=job, tag="/eval_total_loss", step=step, value=loss + 0.2, wall_time=at))
    Metric.objects.bulk_create(rows)
    job.loss_curve, job.train_loss, job.step = thinned(losses, 24), losses[-1], steps
    job.save()
    return job


def main() -> None:
    owner = accounts.owner()
    data, held_back = factories.dataset(owner=owner), factories.dataset(owner=owner, name="Held back")
    common: dict[str, Any] = {"owner": owner, "dataset": data, "validation_dataset": held_back}
    begun, ended = NOW - timedelta(minutes=12), NOW - timedelta(minutes=2)
    live = {"phase": "BOUND", "started_at": begun, "first_step_at": begun, "last_step_at": NOW}
    over = {"phase": "CLOSED", "started_at": begun, "ended_at": ended, "created_at": begun}
    log = "\n".join(f"step {step} loss {4 / (step + 1):.3f}" for step in range(300))
    jobs = [
        learnt(made("Running", state="RUNNING", log_text=log, checkpoints=CHECKPOINTS[:1], **live, **common), 200, 1.2),
        learnt(made("Tuned", state="SUCCEEDED", checkpoints=CHECKPOINTS, **over, **common), 420, 0.9),
        learnt(made("Other", state="SUCCEEDED", learning_rate=0.001, **over, **common), 420, 1.1),
        made("Failed", state="FAILED", error_code="INTERNAL", error_message="Out of memory.", log_text="MemoryError",
             **over, **common),
    ]  # fmt: skip
    for number in range(3):
        waiting = made(f"Waiting {number}", state="QUEUED", prepared_at=NOW, **common)
        TuningJob.objects.filter(pk=waiting.pk).update(next_check_at=NOW + timedelta(days=1))
        jobs.append(waiting)
    print(json.dumps({job.display_name: str(job.pk) for job in jobs}))


if __name__ == "__main__":
    main()
