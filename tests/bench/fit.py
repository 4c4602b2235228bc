"""Measures what trainings and model servers take at the highest beside the estimates: `python -m tests.bench.fit`.

Each training is of rows of one length with the engine in a process of its own, each model server answers four chats at
once. What else the machine does changes no memory, so it is measured on a busy one, too. `--write` puts the tables into
docs/performance.md. `--images` measures rows with images instead, of the model that sees that this repository has and
of a larger one that is made for it; no other model is needed.
"""

import argparse
import json
import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import httpx

from jobs.localvertex.engine.hardware.fitting import method_of
from jobs.localvertex.engine.job import Job
from jobs.localvertex.memory.shape import Shape
from jobs.localvertex.memory.training import Row, Training
from jobs.localvertex.serving.llama import ADDRESS, SERVING_COMMAND, SLOTS, Child, Plan, launch
from tests.bench import engine, seeing
from tests.bench.page import write
from tests.support.running import ROOT

MAY_DIFFER = 0.2
RANK, STEPS = 16, 3
LORA, FULL = "PEFT_ADAPTER", "FULL"
# Mode, rows of a step, tokens of a row.
TRAININGS = ((LORA, 1, 64), (LORA, 4, 256), (LORA, 8, 512), (FULL, 1, 64), (FULL, 4, 256))
CONTEXTS = (1024, 4096, 8192)
# The same with images of each row.
SEEING = ((LORA, 4, 256, 1), (LORA, 4, 512, 3), (LORA, 1, 640, 7), (LORA, 8, 512, 4), (FULL, 2, 512, 3))
MEGABYTE = 2**20


@dataclass(frozen=True)
class Model:
    name: str
    gguf: Path
    hf: Path


@dataclass(frozen=True)
class Taken:
    what: str
    estimated: int
    measured: int
    load: float

    @property
    def ratio(self) -> float:
        return self.estimated / self.measured

    @property
    def met(self) -> bool:
        return abs(self.ratio - 1) <= MAY_DIFFER

    def line(self) -> str:
        sizes = f"{self.estimated / MEGABYTE:.0f} MB | {self.measured / MEGABYTE:.0f} MB | {self.ratio:.2f}"
        return f"| {self.what} | {sizes} | {'yes' if self.met else '**no**'} | {self.load:.0f} |"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", action="store_true", help="trainings on rows with images")
    parser.add_argument("--model", action="append", default=[], metavar="NAME=MODEL.gguf", help="may be repeated")
    parser.add_argument("--prepared", action="append", default=[], metavar="NAME=FOLDER", help="its Hugging Face files")
    parser.add_argument("--write", action="store_true", help="put the table into docs/performance.md")
    options = parser.parse_args()
    if bool(options.model) == options.images:
        parser.error("Give either --model or --images.")
    with tempfile.TemporaryDirectory(prefix="bench-fit-") as folder:
        ready = dict(one.split("=", 1) for one in options.prepared)
        given = dict(one.split("=", 1) for one in options.model)
        models = [prepare(Path(folder), name, gguf, ready) for name, gguf in given.items()]
        taken = [one for model in models for one in measure(Path(folder), model)]
        if options.images:
            taken = list(measure_images(Path(folder)))
    text = table(taken)
    print(text)
    if options.write:
        write("memory figures of images" if options.images else "memory figures", text)
    return 0 if all(one.met for one in taken) else 1


def prepare(folder: Path, name: str, gguf: str, ready: dict[str, str]) -> Model:
    if name in ready:
        return Model(name, Path(gguf), Path(ready[name]))
    return Model(name, Path(gguf), engine.prepare(Path(gguf), folder / f"{name}-hf"))


def measure(folder: Path, model: Model) -> Iterator[Taken]:
    for mode, batch, length in TRAININGS:
        yield say(train(folder, model, mode, batch, length))
    for context in CONTEXTS:
        yield say(serve(folder, model, context))


def measure_images(folder: Path) -> Iterator[Taken]:
    models = {"Shapes and colours": seeing.OWN, "random, of 448 pixels": seeing.make_random(folder / "seeing")}
    for name, hf in models.items():
        for mode, batch, length, images in SEEING:
            yield say(train(folder, Model(name, Path(), hf), mode, batch, length, images))


def say(taken: Taken) -> Taken:
    print(taken.line(), flush=True)
    return taken


def make_row(number: int, prompt: str, completion: str, images: int) -> str:
    if images:
        return seeing.make_row(number, images, prompt, completion)
    return json.dumps({"prompt": prompt, "completion": completion})


def train(folder: Path, model: Model, mode: str, batch: int, length: int, images: int = 0) -> Taken:
    words, load = (ROOT / "LICENSE").read_text().split(), os.getloadavg()[0]
    with tempfile.TemporaryDirectory(dir=folder) as made:
        workdir = Path(made)
        # The answer is longer than the row, which is cut to its length. What rows share would take memory only once.
        asked, answer = " ".join(words[: 8 if images else length // 8]), " ".join((4 * words)[: 2 * length])
        lines = [make_row(number, f"{number}. {asked}", answer, images) for number in range(STEPS * batch)]
        (workdir / "train.jsonl").write_text("".join(f"{line}\n" for line in lines))
        job = {
            **{"base_model_dir": str(model.hf), "train_path": str(workdir / "train.jsonl"), "validation_path": None},
            **{"epochs": 1, "learning_rate": 1e-5, "tuning_mode": mode, "adapter_size": RANK, "batch_size": batch},
            **{"max_length": length, "seed": 0, "threads": os.cpu_count(), "display_name": "fit", "base_model": "fit"},
        }
        (workdir / "job.json").write_text(json.dumps(job))
        events, measured = engine.train(workdir)
        method = method_of(Job.read(workdir / "job.json"), has_images=images > 0)
    told = next(event for event in events if event["event"] == "data_stats")
    rows = [
        Row(asked + made, made, images) for asked, made in zip(told["input_tokens"], told["output_tokens"], strict=True)
    ]
    shape = Shape.read(model.hf)
    assert shape is not None
    estimated = Training(shape, method).peak(rows, batch)
    kind = "LoRA" if mode == LORA else "in full"
    what = f"{model.name}, tuned ({kind}), {batch} × {rows[0].length} tokens"
    what += f", {images} image{'s' if images > 1 else ''} a row" if images else ""
    return Taken(what, estimated, measured, load)


def serve(folder: Path, model: Model, context: int) -> Taken:
    load = os.getloadavg()[0]
    plan = replace(Plan("e/deployedModels/1", str(model.gguf), hf=str(model.hf)), context=context)
    with tempfile.TemporaryDirectory(dir=folder) as made:
        child = launch(plan, Path(made), SERVING_COMMAND)
        try:
            while not child.ready:
                if child.overdue or not child.alive:
                    raise RuntimeError("\n".join(child.last_lines()))
                time.sleep(0.1)
            chats = [threading.Thread(target=ask, args=(child, number, context)) for number in range(SLOTS)]
            for chat in chats:
                chat.start()
            for chat in chats:
                chat.join()
            peak = engine.find_highest(child.process.pid)
        finally:
            child.kill()
    return Taken(f"{model.name}, served, context of {context} tokens", plan.need(), peak, load)


def ask(child: Child, number: int, context: int) -> None:
    text = " ".join(f"{number} and {one}" for one in range(context // 32))
    body = {"messages": [{"role": "user", "content": text}], "max_tokens": 16}
    headers = {"Authorization": f"Bearer {child.api_key}"}
    transport = httpx.HTTPTransport(uds=str(child.socket))
    with httpx.Client(transport=transport, timeout=600) as client:
        client.post(f"{ADDRESS}/v1/chat/completions", json=body, headers=headers).raise_for_status()


def table(taken: list[Taken]) -> str:
    apart = max(taken, key=lambda one: abs(one.ratio - 1))
    return "\n".join(
        [
            f"Taken {datetime.now(UTC):%Y-%m-%d} by `make bench-fit`: {os.cpu_count()} cores. Estimates and"
            f" measured values differ by {abs(apart.ratio - 1):.0%} at the most; the goal is {MAY_DIFFER:.0%}.",
            "",
            "| what | estimated | highest measured | ratio | within 20 % | load |",
            "|---|--:|--:|--:|---|--:|",
            *(one.line() for one in taken),
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
