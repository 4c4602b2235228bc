"""`train`, `prepare` (GGUF to Hugging Face), `convert` (back), `merge` (an adapter with its base model), `count` (the
tokens of rows), `pace` (of a training) and `devices` (what this machine computes with): child processes of the local
Vertex AI.

Exit codes: 0 done, 1 failed, 3 cancelled, 5 the disk took no more: go on from the last checkpoint when it does."""

import argparse
import json
import logging
import os
import shutil
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import FrameType

from jobs.localvertex.devices.choice import choose_for_serving, choose_for_training
from jobs.localvertex.devices.look import look
from jobs.localvertex.devices.words import describe
from jobs.localvertex.engine.checkpoints import remove_halves
from jobs.localvertex.engine.hardware.device import choose_by_mode, show_only, verify
from jobs.localvertex.engine.job import EVENTS, FINAL, Cancelled, EventLog, Job, JobError, is_short_of_disk, say

DONE, FAILED, CANCELLED, SHORT = 0, 1, 3, 5
TOO_LITTLE_MEMORY = (
    "This machine has too little memory for the training. Use a smaller batch size, shorter rows or a smaller base"
    " model, or a machine with more memory."
)
NOTHING_LEFT = 2**20
NICENESS = 10  # a chat beside the training keeps its speed


def leave_with_parent(parent: int) -> None:
    """A server killed with SIGKILL cannot stop its children. No event is written: the next server resumes the job."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(FAILED)

    threading.Thread(target=watch, daemon=True).start()


def prepare_environment() -> None:
    """Before torch is imported: GOMP's active waiting makes two threads slower than one on a busy machine."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.nice(max(0, NICENESS - os.nice(0)))


def settle_bitsandbytes(*, used: bool) -> None:
    """peft imports it wherever it is installed, which costs a second: only who asked for it shall pay."""
    if used:
        logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    else:
        sys.modules.setdefault("bitsandbytes", None)  # type: ignore[arg-type]  # how Python spells "not there"


def stop_on_sigterm() -> Callable[[], None]:
    """Raises in the middle of a step, as a step over long rows takes minutes; the returned check is for the case that
    the exception was lost in a destructor or a callback of C code."""
    asked = threading.Event()

    def on_signal(number: int, frame: FrameType | None) -> None:
        if not asked.is_set():
            asked.set()
            raise Cancelled

    def stop_if_asked() -> None:
        if asked.is_set():
            raise Cancelled

    signal.signal(signal.SIGTERM, on_signal)
    return stop_if_asked


def run_training(workdir: Path, parent: int) -> int:
    try:
        events = EventLog(workdir / EVENTS)
    except OSError as error:
        return SHORT if is_short_of_disk(error) else FAILED
    try:
        stop_if_asked = stop_on_sigterm()
        job = Job.read(workdir / "job.json")
        events.write("loading")
        say(f"Loading {job.base_model} and the data")
        chosen = choose_by_mode(job.base_model_dir, job.tuning_mode, job.quantization, look())
        show_only(chosen, os.environ)
        settle_bitsandbytes(used=job.quantization is not None)
        from jobs.localvertex.engine.training import train  # noqa: PLC0415 - torch reads the environment on import

        chosen = verify(chosen)
        say(chosen.reason)
        train(job, workdir, events, stop_if_asked, chosen)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # too late to cancel
        events.write("done")
        events.flush()
        say("Done")
    except Cancelled:
        remove_halves(workdir)
        events.write("cancelled")
        say("Cancelled")
        return CANCELLED
    except JobError as error:
        events.write("failed", code=error.code, message=str(error))
        say(str(error))
        return FAILED
    except Exception as error:
        if os.getppid() != parent:  # a broken pipe to it, for one
            return FAILED
        if is_short_of_disk(error) or is_full(workdir):
            make_room(workdir)
            return SHORT
        traceback.print_exc()
        if is_out_of_memory(error):
            events.write("failed", code="RESOURCE_EXHAUSTED", message=TOO_LITTLE_MEMORY)
            return FAILED
        reason = f"{type(error).__name__}: {error}"
        message = f"The training stopped with an unexpected error ({reason}). Its log has the details."
        events.write("failed", code="INTERNAL", message=message)
        return FAILED
    return DONE


def is_full(workdir: Path) -> bool:
    """PyTorch does not say why it could not write."""
    found = os.statvfs(workdir)
    return found.f_bavail * found.f_frsize < NOTHING_LEFT


def make_room(workdir: Path) -> None:
    """What was begun goes: it would keep the room that the next try needs."""
    remove_halves(workdir)
    shutil.rmtree(workdir / f".{FINAL}", ignore_errors=True)


def is_out_of_memory(error: Exception) -> bool:
    """PyTorch has no class for it where there is no graphics card."""
    told = str(error)
    return isinstance(error, MemoryError) or "can't allocate memory" in told or "out of memory" in told


def run_preparation(source: Path, out: Path) -> int:
    from jobs.localvertex.engine.prepare import prepare  # noqa: PLC0415 - torch reads the environment on import

    try:
        prepare(source, out)
    except JobError as error:
        print(error, file=sys.stderr)
        return FAILED
    return DONE


def run_conversion(folder: Path, out: Path, kind: str, name: str) -> int:
    """Prints the files it made as one JSON line."""
    from jobs.localvertex.engine.export.gguf import convert  # noqa: PLC0415 - torch reads the environment on import

    try:
        made = convert(folder, out, kind, name)
    except JobError as error:
        print(error, file=sys.stderr)
        return FAILED
    print(json.dumps({"event": "converted", "files": {path.name: path.stat().st_size for path in made}}))
    return DONE


def run_merging(options: argparse.Namespace) -> int:
    settle_bitsandbytes(used=False)
    from jobs.localvertex.engine.export.merge import merge  # noqa: PLC0415 - torch reads the environment on import
    from jobs.localvertex.engine.training import quiet_libraries  # noqa: PLC0415

    quiet_libraries()
    try:
        merge(options.base, options.adapter, options.out, options.name or options.adapter.name, options.base_model)
    except JobError as error:
        print(error, file=sys.stderr)
        return FAILED
    return DONE


def run_count(folder: Path, rows: Path, max_length: int) -> int:
    """Prints one JSON line."""
    from jobs.localvertex.engine.trial.counting import count_tokens  # noqa: PLC0415 - for this command only

    try:
        tokens = count_tokens(folder, rows.read_text(encoding="utf-8").splitlines(), max_length)
    except (JobError, ValueError) as error:
        print(error, file=sys.stderr)
        return FAILED
    print(json.dumps({"event": "counted", "tokens": tokens}))
    return DONE


def run_pace(folder: Path, mode: str, rank: int, threads: int) -> int:
    """Prints one JSON line."""
    settle_bitsandbytes(used=False)
    chosen = choose_by_mode(folder, mode, None, look())
    show_only(chosen, os.environ)
    started = time.monotonic()
    from jobs.localvertex.engine.trial.pace import measure_pace  # noqa: PLC0415 - torch reads the environment on import

    try:
        found = measure_pace(folder, mode, rank, threads, verify(chosen))
    except JobError as error:
        print(error, file=sys.stderr)
        return FAILED
    found["load"] = time.monotonic() - started
    print(json.dumps({"event": "measured", **found}))
    return DONE


def run_devices() -> int:
    """Prints where a LoRA tuning of a small model would run, which is tried, and where models are served."""
    machine = look()
    training = choose_for_training(machine)
    show_only(training, os.environ)
    if machine.torch:
        training = verify(training)
    print("\n".join(describe(machine, training, choose_for_serving(machine))))
    return DONE


def main() -> int:
    parent = os.getppid()
    leave_with_parent(parent)
    parser = argparse.ArgumentParser(prog="python -m jobs.localvertex.engine", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("train").add_argument("workdir", type=Path)
    preparation = commands.add_parser("prepare")
    preparation.add_argument("source", type=Path)
    preparation.add_argument("out", type=Path)
    conversion = commands.add_parser("convert")
    conversion.add_argument("folder", type=Path)
    conversion.add_argument("out", type=Path)
    conversion.add_argument(
        "--type", choices=("f32", "f16", "q8_0", "q4_k_m"), default="f16", help="of the large tensors"
    )
    conversion.add_argument("--name", default="", help="the model's name inside the files; default: the folder's")
    merging = commands.add_parser("merge")
    for name in ("base", "adapter", "out"):
        merging.add_argument(name, type=Path)
    merging.add_argument("--name", default="", help="the model's name in its card; default: the adapter's folder")
    merging.add_argument("--base-model", default="", help="the base model's name in the card")
    count = commands.add_parser("count")
    count.add_argument("folder", type=Path)
    count.add_argument("rows", type=Path)
    count.add_argument("--max-length", type=int, required=True)
    pace = commands.add_parser("pace")
    pace.add_argument("folder", type=Path)
    pace.add_argument("mode", choices=("PEFT_ADAPTER", "FULL"))
    pace.add_argument("--rank", type=int, default=8)
    pace.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    commands.add_parser("devices")
    options = parser.parse_args()
    prepare_environment()
    if options.command == "devices":
        return run_devices()
    if options.command == "count":
        return run_count(options.folder, options.rows, options.max_length)
    if options.command == "pace":
        return run_pace(options.folder, options.mode, options.rank, options.threads)
    if options.command == "train":
        return run_training(options.workdir.resolve(), parent)
    if options.command == "merge":
        return run_merging(options)
    if options.command == "convert":
        return run_conversion(options.folder.resolve(), options.out, options.type, options.name)
    return run_preparation(options.source, options.out)


if __name__ == "__main__":
    code = main()
    with suppress(OSError):
        sys.stdout.flush()
    os._exit(code)  # taking torch down politely costs a second
