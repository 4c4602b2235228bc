"""Puts jobs, datasets, endpoints, chats and a draft, in many states, into the database of a console that runs:
`python -m tests.e2e.seed`, with its CONSOLE_DATA_DIR in the environment. Prints their ids by name as JSON. Nothing is
sent: none of them is due while a test runs."""

import io
import json
import math
import os
from datetime import timedelta
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")

import django

django.setup()

from django.contrib.auth.models import User  # noqa: E402  # models are there only after setup()
from django.db.models import Model  # noqa: E402
from django.utils import timezone  # noqa: E402

from jobs.models import (  # noqa: E402
    Conversation,
    Dataset,
    Endpoint,
    EndpointReport,
    InventoryLook,
    Metric,
    OutputListing,
    Role,
    Sweep,
    TuningJob,
    thin_out,
)
from jobs.models.remote import FARTHEST  # noqa: E402
from jobs.services.accounts import accounts  # noqa: E402
from jobs.services.datasets import datasets  # noqa: E402
from jobs.services.storage import sharing  # noqa: E402
from jobs.text import markdown  # noqa: E402
from tests.fakes.imports import FACTS, FREED  # noqa: E402
from tests.support import factories  # noqa: E402

NOW = timezone.now()
QUIET = "europe-west4"
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
            rows.append(Metric(job=job, tag="vendor/eval <runtime>", step=step, value=15.4, wall_time=at))
    Metric.objects.bulk_create(rows)
    job.loss_curve, job.train_loss, job.step = thin_out(losses, 24), losses[-1], steps
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
        TuningJob.objects.filter(pk=waiting.pk).update(next_check_at=NOW + FARTHEST)
        jobs.append(waiting)
    sweep = Sweep.objects.create(
        owner=owner, display_name="Rates", varied={"learning_rate": [0.0002, 0.001]}, request_hash="-"
    )
    for place, job in enumerate(jobs[1:3], 1):
        TuningJob.objects.filter(pk=job.pk).update(sweep=sweep, sweep_place=place)
    ids = {job.display_name: str(job.pk) for job in jobs}
    others = {**more_datasets(owner), **endpoints(owner), "draft": draft(owner, data), "sweep": sweep}
    takeaways(jobs[1])
    others |= elsewhere() | imports(owner)
    others["shared"] = sharing.share_folder(owner, uri="gs://garden-local/base", user=None, may_write=False)
    print(json.dumps(ids | {name: str(row.pk) for name, row in others.items()}))


def elsewhere() -> dict[str, Model]:
    """One of each kind that was not made here, and a region that cannot be read. Nobody is to look there while a
    test runs: what a look does not find, it forgets."""
    ago = NOW - timedelta(days=9)
    told: dict[str, dict[str, Any]] = {
        "endpoint": {"display_name": "Made by a notebook", "usd_per_hour": 1},
        "model": {"display_name": "Uploaded by hand", "is_running": False, "facts": {"folder": "gs://team/model"}},
        "tuning_job": {"display_name": "Tuned by the SDK", "state": "SUCCEEDED", "is_running": False, "facts": {}},
        "custom_job": {"display_name": "A script", "state": "RUNNING"},
    }
    problem = "The service account may not list endpoints here."
    for kind in told:
        said = problem if kind == "endpoint" else ""
        InventoryLook.objects.create(kind=kind, location=QUIET, looked_at=NOW + FARTHEST, problem=said)
    return {
        f"found-{kind}": factories.found_resource(kind=kind, location=QUIET, created_at=ago, **values)
        for kind, values in told.items()
    }


def takeaways(job: TuningJob) -> None:
    """Of a checkpoint, ready and failed; whoever opens the page finds the folder listed."""
    place, later = "postprocess/node-0/checkpoints", NOW + FARTHEST
    sizes = {
        "final/config.json": 1500, "final/model.safetensors": 536_223_056, "final/adapter/adapter_config.json": 900,
        "checkpoint-140/adapter_config.json": 900,
        "checkpoint-140/adapter_model.safetensors": 15_000_000,
    }  # fmt: skip
    files = [{"name": f"{place}/{name}", "size": size} for name, size in sizes.items()]
    OutputListing.objects.create(job=job, asked_at=later, read_at=later, files=files)
    folder = f"{job.output_uri}/{place}/checkpoint-140"
    factories.takeaway(job=job, folder=folder, form="merged")
    factories.takeaway(job=job, folder=folder, form="gguf-q8_0", state="FAILED", error="There is no room.")
    factories.takeaway(job=job, folder=f"{job.output_uri}/{place}/final", form="merged")
    factories.takeaway(job=job, folder=f"{job.output_uri}/{place}/final/adapter", form="adapter")


def more_datasets(owner: User) -> dict[str, Model]:
    good = [{"prompt": f"Question {number}?", "completion": "Answer. " * number} for number in range(1, 41)]
    rows = [*map(json.dumps, good), '{"prompt": "no completion"}', "no JSON"]
    table = "question,answer\nWhere?,Here\nWhen?,Now\n"
    made = {"questions": "\n".join(map(json.dumps, good)), "problems": "\n".join(rows), "table": table}
    return {
        f"dataset-{name}": datasets.create(
            owner, file=io.BytesIO(content.encode()), file_name=f"{name}.{'csv' if name == 'table' else 'jsonl'}"
        )
        for name, content in made.items()
    }


def imports(owner: User) -> dict[str, Model]:
    """A file that a worker reads for as long as the test runs, and one that is not there."""
    begun = {"total_bytes": 400_000_000, "done_bytes": 120_000_000, "rows": 120_000, "lease_until": NOW + FARTHEST}
    missing = "There is no file gs://team/sets/missing.jsonl. Check the path, or browse for the file."
    return {
        "import-waiting": factories.dataset_import(owner=owner, uri="gs://team/sets/large.jsonl", **begun),
        "import-failed": factories.dataset_import(
            owner=owner, uri="gs://team/sets/missing.jsonl", state="FAILED", error=missing
        ),
        **model_imports(owner),
    }


def model_imports(owner: User) -> dict[str, Model]:
    """Read and not downloaded yet, on its way for as long as the test runs, and refused."""
    gated = "acme/Gated is gated: its publisher wants to know who uses it. Agree to its terms on its page."
    facts = FACTS | {"licence": "cc-by-nc-4.0", "chat_template": False, "gated": True}
    begun = {"stage": "fetching", "total_bytes": 5_000_000, "done_bytes": 1_200_000, "lease_until": NOW + FARTHEST}
    return {
        "model-import-found": factories.model_import(owner=owner, state="FOUND", facts=facts),
        "model-import-waiting": factories.model_import(owner=owner, state="WAITING", facts=FACTS, **begun),
        "model-import-removed": factories.model_import(
            owner=owner, state="REMOVED", done_bytes=FREED, model="hf-acme/a@001"
        ),
        "model-import-failed": factories.model_import(owner=owner, source="acme/Gated", state="FAILED", error=gated),
    }


def endpoints(owner: User) -> dict[str, Model]:
    """One in each state, and chats with the one that serves."""
    begun = (NOW - timedelta(minutes=3)).isoformat()
    common: dict[str, Any] = {"owner": owner, "next_check_at": None}
    ready = factories.ready_endpoint(display_name="Serving", **common)
    states: dict[str, dict[str, Any]] = {
        "DEPLOYING": {
            "phase": "BOUND",
            "stage": "STARTING_MODEL_SERVER",
            "stage_times": [["STARTING_MODEL_SERVER", begun]],
        },
        "UNDEPLOYED": {"phase": "CLOSED", "wanted": "UNDEPLOYED"},
        "FAILED": {
            "phase": "CLOSED",
            "error_code": "QUOTA",
            "error_message": "There is no machine of this kind left in us-central1.",
        },
    }
    made = {
        f"endpoint-{state.lower()}": factories.endpoint(
            display_name=state.capitalize(), state=state, **common, **values
        )
        for state, values in states.items()
    }
    reports(ready, made["endpoint-failed"])
    return {"endpoint-ready": ready, **made, **chats(owner, ready)}


def reports(ready: Endpoint, failed: Endpoint) -> None:
    """Nobody asks again while they are looked at."""
    later, hour = NOW + FARTHEST, NOW.replace(minute=0, second=0, microsecond=0)
    told = {"asked_at": later, "read_at": later, "told_at": later}
    day = [
        [(hour - timedelta(hours=23 - number)).isoformat(), number * 3 % 17, number % 5 // 4, 0.4, 1.5, 1]
        for number in range(24)
    ]
    lines = [f"2026-11-30 05:00:{number:02} INFO The model server answers request {number}." for number in range(40)]
    EndpointReport.objects.create(endpoint=ready, kind="1d", data=day, **told)
    EndpointReport.objects.create(endpoint=ready, kind="log", data=lines, **told)
    lacking = "The role roles/logging.viewer is missing. Run: gcloud projects add-iam-policy-binding garden --role=x"
    for kind in ("1d", "log"):
        EndpointReport.objects.create(endpoint=failed, kind=kind, error=lacking, **told | {"told_at": None})


def chats(owner: User, endpoint: Endpoint) -> dict[str, Model]:
    """One that was answered, one whose answer failed, one that is being answered."""
    text = "# The sea\n\nIt is **deep**: `z`.\n\n| at | m |\n|---|---|\n| sea | 40 |\n\n```python\nprint(4)\n```\n"
    usage = {"prompt_tokens": 12, "completion_tokens": 40}
    answers: dict[str, dict[str, Any]] = {
        "answered": {"content": text, "html": markdown.render(text), "usage": usage,
                     "timings": {"first_token": 0.1, "total": 1.4}, "finish_reason": "stop"},
        "failed": {"content": "", "state": "FAILED", "error_message": "The endpoint refused the request."},
        "busy": {"state": "STREAMING", "lease_until": NOW + timedelta(days=1)},
    }  # fmt: skip
    return {f"chat-{name}": chat(owner, endpoint, name, values) for name, values in answers.items()}


def chat(owner: User, endpoint: Endpoint, name: str, answer: dict[str, Any]) -> Conversation:
    made = factories.conversation(owner=owner, endpoint=endpoint, title=f"A chat that is {name}")
    factories.message(conversation=made, content="How deep is the sea?")
    factories.message(conversation=made, role=Role.ASSISTANT, answered_by=endpoint.label, **answer)
    return made


def draft(owner: User, data: Dataset) -> Model:
    """Every step was sent, so that each can be opened."""
    numbers = {"epochs": "3", "learning_rate": "0.0002", "tuning_mode": "PEFT_ADAPTER", "adapter_size": "8"}
    steps: dict[str, dict[str, Any]] = {
        "name": {"display_name": "Captain"},
        "base-model": {"base_model": factories.BASE_MODEL},
        "output": {"output_uri": "gs://garden-local/output/captain"},
        "training": {"dataset": str(data.pk), **numbers},
    }
    return factories.draft(owner=owner, data={step: {**values, "sent": True} for step, values in steps.items()})


if __name__ == "__main__":
    main()
