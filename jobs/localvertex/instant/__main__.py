"""The commands of the training engine without a training, each as that of `jobs.localvertex.engine`: `train FOLDER`,
`prepare`, `convert` and `count`. There is no `pace`: nothing is computed that has one."""

import json
import os
import signal
import sys
import threading
from pathlib import Path
from types import FrameType

from jobs.localvertex.engine.job import EVENTS, EventLog, Job, JobError, say
from jobs.localvertex.engine.rows import RowError, parse_line
from jobs.localvertex.instant.model import reads_images, write_base_gguf, write_model
from jobs.localvertex.instant.training import count_tokens, train

DONE, FAILED, USAGE, CANCELLED = 0, 1, 2, 3
PARENT_SECONDS = 0.5
LEFT_OUT = ("quantization",)  # there is nothing to quantise, so that nobody needs bitsandbytes


def leave_with_parent(parent: int, stop: threading.Event) -> None:
    def watch() -> None:
        while os.getppid() == parent:
            stop.wait(PARENT_SECONDS)
        os._exit(FAILED)

    threading.Thread(target=watch, daemon=True).start()


def run_training(folder: Path) -> int:
    stop = threading.Event()

    def on_signal(number: int, frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, on_signal)
    events = EventLog(folder / EVENTS)
    events.write("loading")
    try:
        if not train(Job.read(folder / "job.json", leave_out=LEFT_OUT), folder, events, stop):
            events.write("cancelled")
            say("Cancelled")
            return CANCELLED
    except JobError as error:
        events.write("failed", code=error.code, message=str(error))
        say(str(error))
        return FAILED
    events.write("done")
    say("Done")
    return DONE


def convert(arguments: list[str]) -> int:
    """`convert FOLDER OUT`; with `--help`, only the question whether there is such a command."""
    if arguments[:1] == ["--help"]:
        return DONE
    source, target = Path(arguments[0]), Path(arguments[1])
    if not (source / "config.json").is_file():
        print(f"{source} has no config.json.", file=sys.stderr)
        return FAILED
    write_base_gguf(target, images=reads_images(source))
    print(json.dumps({"event": "converted", "files": {target.name: target.stat().st_size}}))
    return DONE


def count(rows: Path) -> int:
    try:
        parsed = [parse_line(line) for line in rows.read_text(encoding="utf-8").splitlines()]
    except RowError as error:
        print(error, file=sys.stderr)
        return FAILED
    print(json.dumps({"event": "counted", "tokens": count_tokens(parsed)["tokens"]}))
    return DONE


def main(arguments: list[str]) -> int:
    match arguments:
        case ["train", folder]:
            leave_with_parent(os.getppid(), threading.Event())
            return run_training(Path(folder).resolve())
        case ["prepare", _, folder]:
            write_model(Path(folder), "base")
            return DONE
        case ["convert", *rest] if rest:
            return convert(rest)
        case ["count", _, rows, *_]:
            return count(Path(rows))
    print(__doc__, file=sys.stderr)
    return USAGE


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
