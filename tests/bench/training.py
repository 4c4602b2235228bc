"""Measures tunings beside other trainers: `python -m tests.bench.training [--models …] [--rounds N] [--write]`.

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

from tests.bench import bases, engine
from tests.bench.bases import GEMMA, LLAMA, QWEN
from tests.bench.page import BUSY, write
from tests.support.running import ROOT

OURS, PLAIN, TRL, FACTORY = "the engine", "transformers' Trainer", "TRL's SFTTrainer", "LLaMA-Factory"
RIVALS = (sys.executable, "-m", "tests.bench.rivals")
COMMANDS = {OURS: engine.TRAIN, PLAIN: (*RIVALS, "trainer"), TRL: (*RIVALS, "trl")}
SHORT_NAMES = {"trainer": PLAIN, "trl": TRL, "llama-factory": FACTORY}
MODELS = {"gemma": GEMMA, "llama": LLAMA, "qwen": QWEN}
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
    model: str
    data: Data
    rival: str
    times: float

    def met(self, runs: list["Run"]) -> bool:
        return ratio(runs, self) >= self.times and difference(runs, self) <= LOSS_MAY_DIFFER


GOALS = (
    *(Goal(GEMMA, LONG, TRL, 6.0), Goal(GEMMA, LONG, PLAIN, 2.6), Goal(GEMMA, LONG, FACTORY, 3.5)),
    *(Goal(GEMMA, SHORT, TRL, 4.0), Goal(GEMMA, SHORT, PLAIN, 2.0), Goal(GEMMA, SHORT, FACTORY, 2.2)),
    *(Goal(LLAMA, LONG, PLAIN, 1.8), Goal(QWEN, LONG, PLAIN, 1.8)),
)


@dataclass(frozen=True)
class Run:
    model: str
    data: str
    trainer: str
    speed: float  # tokens a second, without padding
    loss: float  # the mean over all steps
    memory: float  # MB, at the highest
    load: float  # of the machine, before


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--trainers", nargs="+", choices=SHORT_NAMES, default=list(SHORT_NAMES), help="beside ours")
    parser.add_argument("--data", nargs="+", choices=("long", "short"), default=["long", "short"])
    parser.add_argument("--prepared", action="append", default=[], metavar="MODEL=FOLDER", help="Hugging Face files")
    parser.add_argument("--llama-factory", type=Path, metavar="PYTHON", help="of the environment that has it")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/performance.md")
    options = parser.parse_args()
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="bench-training-") as folder:
        commands = commands_of(options.trainers, options.llama_factory)
        folders = prepare(Path(folder), options.models, options.prepared)
        names = {f"{name} rows" for name in options.data}
        goals = [one for one in GOALS if one.model in folders and one.rival in commands and one.data.name in names]
        rows = {(goal.model, goal.data.name): describe(Path(folder), folders[goal.model], goal) for goal in goals}
        runs = list(measure(Path(folder), goals, commands, options.rounds))
    text = tables(goals, runs, rows, options.rounds, load)
    print(text)
    if options.write:
        if load > BUSY:
            sys.exit(f"Not written: the load was {load:.1f} before the start, more than {BUSY}.")
        write("training figures", text)
    return 0 if all(goal.met(runs) for goal in goals) else 1


def commands_of(trainers: list[str], factory: Path | None) -> dict[str, tuple[str, ...]]:
    wanted = {OURS, *(SHORT_NAMES[name] for name in trainers)}
    found: dict[str, tuple[str, ...]] = {name: command for name, command in COMMANDS.items() if name in wanted}
    if FACTORY in wanted and factory is not None and factory.is_file():
        found[FACTORY] = (str(factory.absolute()), str(ROOT / "tests/bench/llama_factory.py"))
    elif FACTORY in wanted:
        print("LLaMA-Factory is not installed, so nothing is measured beside it. `make bench-training` installs it.")
    return found


def prepare(folder: Path, models: list[str], prepared: list[str]) -> dict[str, Path]:
    given = dict(one.split("=", 1) for one in prepared)
    ready = {MODELS[short]: Path(place).resolve() for short, place in given.items()}
    found: dict[str, Path] = {}
    for name in (MODELS[short] for short in models):
        if (made := bases.prepare(name, folder, ready)) is not None:
            found[name] = made
        else:
            print(f"Without the weights of SmolLM2 there is no {name}. `make up` brings them.")
    return found


def job_of(data: Data) -> dict[str, Any]:
    return {
        **{"validation_path": None, "epochs": 1, "learning_rate": 2e-4, "tuning_mode": "PEFT_ADAPTER"},
        **{"adapter_size": 16, "batch_size": 4, "max_length": 512, "seed": 0, "threads": os.cpu_count()},
        **{"display_name": data.name, "base_model": "bench"},
    }


def place_of(folder: Path, model: str, data: str) -> Path:
    return folder / f"{model}, {data}"


def describe(folder: Path, weights: Path, goal: Goal) -> str:
    """Writes what each trainer is told of these data; returns what the rows are like."""
    from jobs.localvertex.engine.dataset import load_examples
    from jobs.localvertex.engine.tokens import ChatEncoder

    place, data = place_of(folder, goal.model, goal.data.name), goal.data
    place.mkdir(exist_ok=True)
    data.write(place / "train.jsonl")
    job = job_of(data) | {"base_model_dir": str(weights), "train_path": str(place / "train.jsonl")}
    (place / "job.json").write_text(json.dumps(job))
    examples = load_examples(place / "train.jsonl", ChatEncoder(weights), job["max_length"], "data")
    rows = ({name: row[name] for name in ("input_ids", "labels")} for row in examples)
    (place / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (place / "settings.json").write_text(json.dumps(settings_of(job, place, len(examples))))
    answers = sum(row.answers for row in examples.rows) / examples.tokens
    return f"{len(examples)} rows of {examples.tokens / len(examples):.0f} tokens, {answers:.0%} of them answer"


def settings_of(job: dict[str, Any], place: Path, rows: int) -> dict[str, Any]:
    """For LLaMA-Factory, by its names."""
    from jobs.localvertex.engine.job import Job
    from tests.bench.rivals import settings

    ours = settings(Job.read(place / "job.json"), place, rows)
    names = ("num_train_epochs", "per_device_train_batch_size", "learning_rate", "lr_scheduler_type", "warmup_steps")
    told = {name: ours[name] for name in (*names, "weight_decay", "seed", "train_sampling_strategy")}
    return told | {
        **{"model_name_or_path": job["base_model_dir"], "threads": job["threads"], "cutoff_len": job["max_length"]},
        **{"lora_rank": job["adapter_size"], "lora_alpha": 2 * job["adapter_size"]},
    }


def measure(folder: Path, goals: list[Goal], commands: dict[str, tuple[str, ...]], rounds: int) -> Iterator[Run]:
    places = list(dict.fromkeys((goal.model, goal.data.name) for goal in goals))
    for number in range(rounds):
        for model, data in places:
            rivals = {goal.rival for goal in goals if (goal.model, goal.data.name) == (model, data)}
            for trainer in (OURS, *(name for name in commands if name in rivals)):
                run = train(folder, model, data, trainer, commands[trainer])
                speed, loss, memory = f"{run.speed:.0f} tokens/s", f"loss {run.loss:.4f}", f"{run.memory:.0f} MB"
                where = f"Round {number + 1}, {model}, {data}, {trainer}"
                print(f"{where}: {speed}, {loss}, {memory}, load {run.load:.1f}", flush=True)
                yield run


def train(folder: Path, model: str, data: str, trainer: str, command: tuple[str, ...]) -> Run:
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(dir=folder) as workdir:
        for path in place_of(folder, model, data).iterdir():
            (Path(workdir) / path.name).write_bytes(path.read_bytes())
        events, memory = engine.train(Path(workdir), command)
    steps = [event for event in events if event["event"] == "step"]
    seconds = steps[-1]["time"] - steps[WARM_UP - 1]["time"]
    speed = sum(step["tokens"] for step in steps[WARM_UP:]) / seconds
    return Run(model, data, trainer, speed, statistics.fmean(step["loss"] for step in steps), memory / 2**20, load)


def of(runs: list[Run], goal: Goal, trainer: str) -> list[Run]:
    return [run for run in runs if (run.model, run.data, run.trainer) == (goal.model, goal.data.name, trainer)]


def ratio(runs: list[Run], goal: Goal) -> float:
    """The median of the rounds' ratios."""
    pairs = zip(of(runs, goal, OURS), of(runs, goal, goal.rival), strict=True)
    return statistics.median(ours.speed / rival.speed for ours, rival in pairs)


def difference(runs: list[Run], goal: Goal) -> float:
    """Between the losses, at most."""
    pairs = zip(of(runs, goal, OURS), of(runs, goal, goal.rival), strict=True)
    return max(abs(ours.loss / rival.loss - 1) for ours, rival in pairs)


def tables(goals: list[Goal], runs: list[Run], rows: dict[tuple[str, str], str], rounds: int, load: float) -> str:
    lines = [
        f"Taken {datetime.now(UTC):%Y-%m-%d} by `make bench-training`: rounds by turns: {rounds}, medians, "
        f"{os.cpu_count()} cores, load before the start {load:.1f}.",
        "",
        "| model | the engine against | data | times as fast | goal | met | loss differs by |",
        "|---|---|---|--:|--:|---|--:|",
    ]
    for goal in goals:
        times, apart = ratio(runs, goal), difference(runs, goal)
        met, what = "yes" if goal.met(runs) else "**no**", f"{goal.model} | {goal.rival} | {goal.data.name}"
        lines.append(f"| {what} | {times:.2f} | ≥ {goal.times:g} | {met} | {apart:.2%}, goal ≤ 1 % |")
    lines += ["", "| model | data | trainer | tokens/s | slowest to fastest | loss | highest memory | load |"]
    lines += ["|---|---|---|--:|--:|--:|--:|--:|"]
    for (model, data), what in rows.items():
        some = [run for run in runs if (run.model, run.data) == (model, data)]
        for name in dict.fromkeys(run.trainer for run in some):
            ours = [run for run in some if run.trainer == name]
            lines.append(row(f"{model} | {data}: {what}", name, ours))
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
