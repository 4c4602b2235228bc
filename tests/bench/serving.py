"""Measures answers through an endpoint of the local Vertex AI: `python -m tests.bench.serving [--write]`.

The same GGUF file is also asked without the endpoint, in turns with it: of a llama.cpp child of the same settings, and,
with several chats at once, of llama.cpp's server with its own defaults and as many slots.
`--write` puts the table into docs/performance.md; it is refused when the machine was busy with other things before.
"""

import argparse
import json
import os
import platform
import secrets
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from jobs.localvertex.serving.llama import ADDRESS, SERVING_COMMAND, SLOTS, Child, Plan, launch
from tests.bench.journey import kilobytes
from tests.bench.pace import count_steps, measure_pace
from tests.bench.page import BUSY, write
from tests.jobs.localvertex.servers import BUCKET, PARENT, LocalVertex, wait_for
from tests.support.localservers import storage_emulator
from tests.support.running import GEMMA

UNIX = "unix:"
PUBLISHER_NAME = "publishers/google/models/gemma3@gemma-3-270m"
# Longer than an answer of a slow machine: the endpoint must not fall asleep while the other side answers.
IDLE_SECONDS = 20
ROUNDS, TOKENS = 12, 128
AT_ONCE, ROUNDS_AT_ONCE = (1, 4, 8), 9
AS_IT_COMES = (sys.executable, "-m", "tests.bench.llama")
# No end of turn and no end of text, so that every answer has all its tokens.
ENDLESS = {"1": -100, "106": -100}


@dataclass(frozen=True)
class Figure:
    what: str
    value: float
    sign: str
    goal: float
    unit: str
    note: str = ""

    @property
    def met(self) -> bool:
        return self.value >= self.goal if self.sign == "≥" else self.value <= self.goal

    def row(self) -> str:
        value = f"{self.value:.2f}" if self.value < 10 else f"{self.value:.0f}"
        met = "yes" if self.met else "**no**"
        return f"| {self.what} | {value} {self.unit} | {self.sign} {self.goal:g} {self.unit} | {met} | {self.note} |"


@dataclass(frozen=True)
class Speed:
    """Seconds until the first text, and tokens a second after it."""

    first: float
    decode: float


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="put the table into docs/performance.md")
    parser.add_argument("--models-dir", help="a folder of prepared base models: nothing is converted then")
    options = parser.parse_args()
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        figures = measure(Path(folder), ["--models-dir", options.models_dir] if options.models_dir else [])
    text = table(figures, load)
    print(text)
    if options.write:
        if load > BUSY:
            sys.exit(f"Not written: the load was {load:.1f} before the start, more than {BUSY}.")
        write("serving figures", text)
    return 0 if all(figure.met for figure in figures) else 1


def measure(folder: Path, options: list[str]) -> list[Figure]:
    with server_in(folder, options) as server:
        gguf = next(path for path in places(server, options) if path.is_file())
        ready = [deploy(server, f"bench-{number}") for number in range(3)]
        figures = [
            Figure("`:deploy` → the endpoint answers", statistics.median(ready), "≤", 3, "s", spread(ready, "s"))
        ]
        figures += [after_sleep(server), *against_bare(server, gguf, folder), *at_once(server, gguf, folder)]
        return [*figures, *beside_training(server)]


@contextmanager
def server_in(folder: Path, options: list[str]) -> Iterator[LocalVertex]:
    with storage_emulator(folder) as address:
        httpx.post(f"{address}/storage/v1/b", json={"name": BUCKET}, trust_env=False)
        more = ["--prepare", "now", "--idle-unload", str(IDLE_SECONDS), *options]
        server = LocalVertex(folder, address, options=(), extra=more).start()
        try:
            wait_for(lambda: is_prepared(server), server.log, 600)
            yield server
        finally:
            server.stop()


def is_prepared(server: LocalVertex) -> bool:
    """All of them: the weights of another, which are prepared beside the first answers, make these slower."""
    return all(model["state"] == "ready" for model in health(server)["base_models"])


def health(server: LocalVertex) -> dict:
    return dict(httpx.get(f"{server.url}/healthz", trust_env=False).json())


def places(server: LocalVertex, options: list[str]) -> list[Path]:
    roots = [Path(option) for option in options[1:]] + [server.data / "base-models"]
    return [root / "gemma-3-270m/model.gguf" for root in roots]


def deploy(server: LocalVertex, endpoint: str) -> float:
    began = time.monotonic()
    agreed = {"accept_eula": True, "model_user_id": f"m-{endpoint}"}
    server.deployed(endpoint, publisher_model_name=PUBLISHER_NAME, model_config=agreed)
    return time.monotonic() - began


def after_sleep(server: LocalVertex) -> Figure:
    times = []
    for _ in range(3):
        wait_for(lambda: all(model["state"] == "asleep" for model in health(server)["serving"]["models"]), server.log)
        times.append(talk(*endpoint(server), tokens=2).first)
    what = "first token of an endpoint that was asleep"
    return Figure(what, statistics.median(times), "≤", 3, "s", spread(times, "s"))


def endpoint(server: LocalVertex, number: int = 0) -> tuple[str, dict[str, str]]:
    return f"{server.url}/v1beta1/{PARENT}/endpoints/bench-{number}/chat/completions", {}


def talk(address: str, headers: dict[str, str], tokens: int = TOKENS) -> Speed:
    """A new question each time: nothing of it is in the model's cache."""
    question = f"Tell me a long story about number {secrets.randbelow(10**6)} and the sea."
    body = {"messages": [{"role": "user", "content": question}], "max_tokens": tokens, "temperature": 0, "stream": True}
    times, began = [], time.monotonic()
    socket = address.removeprefix(UNIX) if address.startswith(UNIX) else None
    transport, url = httpx.HTTPTransport(uds=socket), f"{ADDRESS}/v1/chat/completions" if socket else address
    with (
        httpx.Client(transport=transport, headers=headers, timeout=300) as client,
        client.stream("POST", url, json={**body, "logit_bias": ENDLESS}) as reply,
    ):
        for line in reply.iter_lines():
            if line.startswith("data: {") and '"content":"' in line:
                times.append(time.monotonic())
    return Speed(times[0] - began, (len(times) - 1) / (times[-1] - times[0]))


def against_bare(server: LocalVertex, gguf: Path, folder: Path) -> list[Figure]:
    with bare_child(gguf, folder / "bare") as child:
        bare = f"{UNIX}{child.socket}", {"Authorization": f"Bearer {child.api_key}"}
        both = [in_turns(endpoint(server), bare, number % 2) for number in range(2 * ROUNDS)]
        estimate, pss = (
            Plan("e/deployedModels/1", str(gguf)).need() / 1024**2,
            kilobytes(child.process.pid, "Pss") / 1024,
        )
    ours, theirs = ([pair[side].decode for pair in both] for side in (0, 1))
    ratio = statistics.median(ours) / statistics.median(theirs)
    wait = statistics.median(pair[0].first - pair[1].first for pair in both) * 1000
    what = "tokens a second through the endpoint ÷ llama.cpp alone"
    note = (
        f"{statistics.median(ours):.0f} and {statistics.median(theirs):.0f} tokens/s, medians of {len(both)}, in turns"
    )
    return [
        Figure(what, ratio, "≥", 0.95, "", note),
        Figure("what the endpoint adds to the first token", wait, "≤", 20, "ms"),
        Figure(
            "memory of a model server (PSS) ÷ estimate", pss / estimate, "≤", 1, "", f"{pss:.0f} ÷ {estimate:.0f} MB"
        ),
    ]


def in_turns(
    ours: tuple[str, dict[str, str]], bare: tuple[str, dict[str, str]], bare_first: int
) -> tuple[Speed, Speed]:
    if bare_first:
        second = talk(*bare)
        return talk(*ours), second
    return talk(*ours), talk(*bare)


@contextmanager
def bare_child(gguf: Path, folder: Path, command: Sequence[str] = SERVING_COMMAND) -> Iterator[Child]:
    child = launch(Plan("bare/deployedModels/1", str(gguf)), folder, command)
    try:
        wait_for(lambda: child.ready, lambda: f"The model server ended with {child.process.poll()}.")
        talk(f"{UNIX}{child.socket}", {"Authorization": f"Bearer {child.api_key}"})
        yield child
    finally:
        child.kill()


def at_once(server: LocalVertex, gguf: Path, folder: Path) -> list[Figure]:
    """Several chats, of the endpoint and of llama.cpp as it comes, in turns."""
    with bare_child(gguf, folder / "as-it-comes", AS_IT_COMES) as child:
        bare = f"{UNIX}{child.socket}", {"Authorization": f"Bearer {child.api_key}"}
        return [against(server, bare, chats) for chats in AT_ONCE]


def against(server: LocalVertex, bare: tuple[str, dict[str, str]], chats: int) -> Figure:
    speeds: dict[str, list[float]] = {"ours": [], "theirs": []}
    sides = [("ours", endpoint(server)), ("theirs", bare)]
    for number in range(ROUNDS_AT_ONCE):
        for name, side in sides if number % 2 else reversed(sides):
            speeds[name].append(talk_at_once(side, chats))
    ours, theirs = (statistics.median(speeds[name]) for name in ("ours", "theirs"))
    what = f"{chats} {'chat' if chats == 1 else 'chats at once'} ÷ llama.cpp as it comes, {SLOTS} slots"
    note = f"{ours:.0f} and {theirs:.0f} tokens/s together, medians of {ROUNDS_AT_ONCE}; first token included"
    return Figure(what, ours / theirs, "≥", 0.95, "", note)


def talk_at_once(side: tuple[str, dict[str, str]], chats: int) -> float:
    """Tokens a second of all together."""
    with ThreadPoolExecutor(chats) as pool:
        began = time.monotonic()
        list(pool.map(lambda _: talk(*side), range(chats)))
        return chats * TOKENS / (time.monotonic() - began)


def beside_training(server: LocalVertex) -> list[Figure]:
    talk(*endpoint(server), tokens=2)
    quiet = statistics.median(talk(*endpoint(server)).decode for _ in range(ROUNDS // 2))
    rows = [
        {"prompt": f"What is {n} and {n}?", "completion": f"Ahoy! {n} and {n} be {2 * n}, matey."} for n in range(400)
    ]
    data = server.upload("bench/train.jsonl", "\n".join(map(json.dumps, rows)))
    job = server.job(base_model=GEMMA)
    job.supervised_tuning_spec.training_dataset_uri = data
    asked: Any = job.supervised_tuning_spec
    asked.hyper_parameters = {"epoch_count": 20, "learning_rate": 0.001, "adapter_size": 4}
    name = server.create(job).name
    events = server.data / "tuning-jobs" / name.rpartition("/")[2] / "events.jsonl"
    wait_for(lambda: count_steps(events) > 1, server.log, 180)
    alone = measure_pace(events, lambda: time.sleep(8))
    speeds: list[Speed] = []
    talk(*endpoint(server), tokens=2)
    beside = measure_pace(events, lambda: speeds.extend(talk(*endpoint(server)) for _ in range(ROUNDS)))
    server.tuning.cancel_tuning_job(name=name)
    decodes = [speed.decode for speed in speeds]
    what = "chat beside a training of the 270M"
    return [
        Figure(f"{what}, median", statistics.median(decodes), "≥", 30, "tokens/s"),
        Figure(f"{what} ÷ chat alone", statistics.median(decodes) / quiet, "≥", 0.9, "", f"alone {quiet:.0f} tokens/s"),
        Figure("the training beside the chat ÷ alone", beside / alone, "≥", 0.6, "", f"alone {alone:.2f} steps/s"),
        Figure(f"{what}, slowest", min(decodes), "≥", 30, "tokens/s", f"of {len(decodes)} answers of {TOKENS} tokens"),
    ]


def spread(times: list[float], unit: str) -> str:
    return f"{len(times)} times; {min(times):.1f} to {max(times):.1f} {unit}"


def table(figures: list[Figure], load: float) -> str:
    head = "| what | measured | goal | met | |\n|---|--:|--:|---|---|"
    machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    after = os.getloadavg()[0]
    taken = (
        f"Taken {datetime.now(UTC):%Y-%m-%d} by `make bench-serving`: {machine}, load before the start {load:.1f},"
        f" at the end {after:.1f}."
    )
    return "\n".join([taken, "", head, *(figure.row() for figure in figures)])


if __name__ == "__main__":
    sys.exit(main())
