"""Takes the arguments of Google's LoRA container, gets the weights, trains, and leaves the results in the bucket.

Exit codes: 0 done, 1 failed, 143 told to leave. Vertex AI starts the container again after a preemption: it goes on
from the last checkpoint in `--resume_dir`.
"""

import signal
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from google.cloud.aiplatform_v1beta1.types import CustomJob

from jobs.localvertex import program
from jobs.localvertex.api.errors import ApiError
from jobs.localvertex.models import catalogue
from jobs.localvertex.options import arguments
from jobs.localvertex.resources.call import Call, Parts
from jobs.localvertex.resources.tuning import custom_jobs, peft_arguments
from jobs.localvertex.storage.buckets import Buckets
from jobs.localvertex.trainer import weights
from jobs.localvertex.tuning.queue import SUCCEEDED

DONE, FAILED, TOLD_TO_LEAVE = 0, 1, 143
PARENT = "projects/container/locations/us-central1"
IMAGE = "garden-trainer"
WORK_FOLDER, ENGINE = "TRAINER_FOLDER", "TRAINER_ENGINE"
# What Vertex AI sets in its containers: the job's name, and a folder below its baseOutputDirectory.
JOB_NAME, LOGS = "CLOUD_ML_JOB_ID", "AIP_TENSORBOARD_LOG_DIR"
POLL_SECONDS = 0.5


def main(argv: Sequence[str], environ: Mapping[str, str]) -> int:
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    program.set_up_logging()
    try:
        folder = Path(environ.get(WORK_FOLDER) or tempfile.mkdtemp(prefix="trainer-"))
        return run(list(argv), environ, folder, stop)
    except ApiError as error:
        print(f"{error.status}: {error.message}", file=sys.stderr, flush=True)
        return FAILED


def run(argv: list[str], environ: Mapping[str, str], folder: Path, stop: threading.Event) -> int:
    """The arguments are judged before the weights are fetched."""
    training = peft_arguments.read(catalogue.load(), argv)
    print(f"Getting the weights of {training.base.id} from {training.weights}", flush=True)
    buckets = Buckets(environ.get("STORAGE_EMULATOR_HOST"))
    base = weights.fetch(training.weights, folder / "weights" / training.base.version, buckets, environ)
    parts = _build(folder / "data", f"{training.base.id}={base}", environ.get(ENGINE, ""))
    job = custom_jobs.start(Call(parts, {"parent": PARENT}, [], None, ""), _custom_job(argv, environ))
    parts.weights.start(now=False)
    parts.runner.start()
    try:
        return _follow(parts, job.name, stop)
    finally:
        parts.runner.stop()
        parts.weights.stop()


def _build(data: Path, base_model: str, engine: str) -> Parts:
    data.mkdir(parents=True, exist_ok=True)
    options = ["--data-dir", str(data), "--base-model", base_model, "--prepare", "when-needed"]
    return program.build(arguments([*options, *(["--engine-command", engine] if engine else [])]))


def _custom_job(argv: list[str], environ: Mapping[str, str]) -> CustomJob:
    container: dict[str, Any] = {"image_uri": IMAGE, "args": argv}
    spec: dict[str, Any] = {"worker_pool_specs": [{"container_spec": container}]}
    if output := environ.get(LOGS, "").rstrip("/").removesuffix("/logs"):
        spec["base_output_directory"] = {"output_uri_prefix": output}
    return CustomJob(display_name=environ.get(JOB_NAME) or "LoRA", job_spec=spec)


def _follow(parts: Parts, name: str, stop: threading.Event) -> int:
    """Until it has ended; what its log gets goes to standard output, which Vertex AI keeps."""
    path, read = parts.runner.folder(name) / "train.log", 0
    while True:
        job = parts.store.get(CustomJob, name)
        read = _copy(path, read, sys.stdout.buffer)
        if job.state in custom_jobs.ENDED:
            break
        if stop.wait(POLL_SECONDS):
            return TOLD_TO_LEAVE
    if job.state == SUCCEEDED:
        return DONE
    print(job.error.message, file=sys.stderr, flush=True)
    return FAILED


def _copy(path: Path, start: int, to: BinaryIO) -> int:
    """As it is: what is there may end within a character."""
    if not path.exists():
        return start
    with path.open("rb") as file:
        file.seek(start)
        new = file.read()
    to.write(new)
    to.flush()
    return start + len(new)
