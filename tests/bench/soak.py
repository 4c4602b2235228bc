"""10,000 submits under faults: does the server's own ledger have exactly one create for each job that was meant?

`make soak`. Real rows, services and Google client against the real local server. Meanwhile replies are dropped, cut
off, delayed and refused, workers are killed with SIGKILL in the middle of a step, forms are sent twice at once, and
messages are delivered twice. Waits of the protocol are skipped by handing the services a later time, but only when
nothing of the row is on its way any more: a worker that was killed gets two seconds, more than the longest delay, for
what it had sent. It works in rounds, each with a server of its own, because every look lists all jobs; some are played
at once.
"""

import argparse
import json
import multiprocessing
import os
import queue
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

from tests.support.localservers import LocalVertex, local_servers
from tests.support.running import GEMMA, ROOT, TINY_MODEL, environment

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["tests.bench.soak_worker"])
AFTER_THE_CLAIM = timedelta(seconds=91)
LONGEST_DELAY, SETTLED = 1.0, 2.0
CALLS = ("create_tuning_job", "list_tuning_jobs", "get_tuning_job")
MODES = ("drop_before", "drop_after", "half_answer", "delay", "refuse")
# A create that the quota refuses holds up its whole region for a minute, and here each row has a time of its own.
REFUSALS = (429, 500, 502, 503, 504)
DONE = {"BOUND", "CLOSED"}
ENVIRONMENT = {
    "DJANGO_SETTINGS_MODULE": "console.settings", "VERTEX_TUNING_AT_ONCE": "0", "SQLITE_SYNCHRONOUS": "OFF",
    "REDIS_URL": "redis://127.0.0.1:1/0",
}  # fmt: skip


class Killed(Exception):
    pass


class Worker:
    """A process that is forked from one which has everything loaded."""

    def __init__(self) -> None:
        self.start()

    def start(self) -> None:
        self.orders, theirs = FORKS.Pipe()
        self.process = FORKS.Process(target=soak_worker_serve, args=(theirs,), daemon=True)
        self.process.start()
        theirs.close()

    def ask(self, action: str, *arguments: Any, times: int = 1) -> tuple[str, str]:
        try:
            self.orders.send((action, times, arguments))
            answer: tuple[str, str] = self.orders.recv()
        except (OSError, EOFError):
            self.process.join()
            self.start()
            raise Killed from None
        return answer

    def kill(self) -> None:
        if pid := self.process.pid:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def soak_worker_serve(orders: Any) -> None:
    from tests.bench.soak_worker import serve

    serve(orders)


class Round:
    def __init__(self, servers: LocalVertex, prepared: Path, size: int, chance: random.Random, workers: int) -> None:
        self.servers, self.chance = servers, chance
        self.counts: Counter[str] = Counter()
        self.over = threading.Event()
        self.use(prepared)
        self.meant = [str(uuid4()) for _ in range(size)]
        self.waiting: queue.PriorityQueue[tuple[float, float, str, str]] = queue.PriorityQueue()
        for key in self.meant:
            self.waiting.put((0.0, chance.random(), key, ""))
        self.left = threading.Semaphore(0)
        self.workers = [Worker() for _ in range(workers)]

    def use(self, prepared: Path) -> None:
        folder = self.servers.folder / "console"
        shutil.copytree(prepared, folder)
        os.environ.update(
            ENVIRONMENT, CONSOLE_DATA_DIR=str(folder), VERTEX_API_ENDPOINT=self.servers.address,
            STORAGE_EMULATOR_HOST=self.servers.storage,
        )  # fmt: skip

    def run(self) -> None:
        threads = [threading.Thread(target=self.drive, args=(worker,)) for worker in self.workers]
        threads += [threading.Thread(target=self.harm), threading.Thread(target=self.kill)]
        for thread in threads:
            thread.start()
        for _ in self.meant:
            self.left.acquire()
        self.over.set()
        for thread in threads:
            thread.join()
        for worker in self.workers:
            worker.kill()

    def drive(self, worker: Worker) -> None:
        """Takes rows, one at a time, and hands them on until they are bound."""
        while not self.over.is_set():
            try:
                at, order, key, now = self.waiting.get(timeout=0.2)
            except queue.Empty:
                continue
            if at > time.monotonic():
                self.waiting.put((at, order, key, now))
                time.sleep(0.01)
                continue
            try:
                self.step(worker, key, now)
            except Killed:
                self.counts["killed in a step"] += 1
                later = datetime.fromisoformat(now) + AFTER_THE_CLAIM if now else None
                self.hand_on(key, later.isoformat() if later else "", SETTLED)

    def step(self, worker: Worker, key: str, now: str) -> None:
        if not now:
            times = self.chance.choice((1, 1, 2, 4))
            self.counts["submits"] += times
            self.counts["sent twice or more"] += times > 1
            _phase, due = worker.ask("create", key, self.meant.index(key), times=times)
            self.hand_on(key, due, 0)
            return
        times = self.chance.choice((1, 1, 1, 2, 3))
        self.counts["delivered twice or more"] += times > 1
        phase, due = worker.ask("advance", key, now, times=times)
        if phase in DONE:
            self.left.release()
        elif phase == "NEEDS_DECISION":
            self.counts["decided by a person"] += 1
            worker.ask("decide", key)
            self.hand_on(key, now, 0)
        else:
            self.hand_on(key, max(now, due or now), 0)

    def hand_on(self, key: str, now: str, pause: float) -> None:
        self.waiting.put((time.monotonic() + pause, self.chance.random(), key, now))

    def harm(self) -> None:
        """Each half second other faults of the server, in every second of them none: under faults alone nothing would
        ever be created."""
        while not self.over.wait(0.5):
            self.servers.order(*(self.fault() for _ in range(self.chance.choice((0, 0, 0, 1, 3, 9)))))

    def fault(self) -> dict[str, Any]:
        method, mode = self.chance.choice(CALLS), self.chance.choice(MODES)
        refusals = REFUSALS[1:] if method == "create_tuning_job" else REFUSALS
        self.counts[f"fault {mode}"] += 1
        return {
            "method": method, "mode": mode, "times": self.chance.choice((1, 2, 3)),
            "status": self.chance.choice(refusals), "bytes": self.chance.randrange(0, 400),
            "seconds": self.chance.random() * LONGEST_DELAY, "set_at": time.time_ns(),
        }  # fmt: skip

    def kill(self) -> None:
        while not self.over.wait(self.chance.uniform(1, 4)):
            self.chance.choice(self.workers).kill()
            self.counts["workers killed"] += 1

    def judge(self) -> tuple[list[str], list[str], list[str]]:
        """Jobs without a create, jobs with several, and creates that nobody meant."""
        lines = (self.servers.folder / "vertex/ledger.jsonl").read_text().splitlines()
        entries = [json.loads(line) for line in lines]
        made = Counter(entry["labels"]["app-key"] for entry in entries if entry["method"] == "create_tuning_job")
        lost = [key for key in self.meant if not made[key]]
        return lost, [key for key in self.meant if made[key] > 1], [key for key in made if key not in set(self.meant)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--round", type=int, default=100)
    parser.add_argument("--workers", type=int, default=6, help="of a round")
    parser.add_argument("--at-once", type=int, default=1 + (os.cpu_count() or 1), help="so many rounds")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--play", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--prepared", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.play:
        print(json.dumps(play(options.prepared, options.jobs, random.Random(options.seed), options.workers)))
        return 0
    print(f"seed {options.seed}, began {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC", flush=True)
    with tempfile.TemporaryDirectory(prefix="soak-") as name:
        return soak(options, prepare(Path(name) / "console"))


def soak(options: argparse.Namespace, prepared: Path) -> int:
    began, total = time.monotonic(), Counter[str]()
    numbers = range(0, options.jobs, options.round)
    sizes = {number: min(options.round, options.jobs - number) for number in numbers}

    def play_one(number: int) -> tuple[int, list[Any]]:
        return number, play_apart(prepared, sizes[number], options.seed + number, options.workers)

    done = 0
    with ThreadPoolExecutor(options.at_once) as beside:
        for number, (counts, *bad) in beside.map(play_one, numbers):
            total.update(counts)
            done += sizes[number]
            print(f"{done} jobs, {time.monotonic() - began:.0f} s, {dict(total)}", flush=True)
            if any(bad):
                print(f"lost {bad[0]}, created twice {bad[1]}, meant by nobody {bad[2]}")
                beside.shutdown(cancel_futures=True)
                return 1
    print(f"{options.jobs} jobs were meant; the ledger has one create for each and no other.")
    return 0


def prepare(folder: Path) -> Path:
    """A data folder with the tables, a person and a dataset."""
    code = "from tests.support import factories; factories.owner(is_superuser=True); factories.dataset()"
    for command in (["migrate", "-v0"], ["shell", "-v0", "-c", code]):
        program = [sys.executable, "manage.py", *command]
        changed = environment({**ENVIRONMENT, "CONSOLE_DATA_DIR": str(folder)})
        subprocess.run(program, cwd=ROOT, env=changed, check=True, stdout=subprocess.DEVNULL)
    return folder


def play_apart(prepared: Path, size: int, seed: int, workers: int) -> list[Any]:
    """In a process of its own: what is forked has the addresses of this round's servers."""
    program = [sys.executable, "-m", "tests.bench.soak", "--play", "--prepared", str(prepared)]
    program += ["--jobs", str(size), "--seed", str(seed), "--workers", str(workers)]
    ended = subprocess.run(program, cwd=ROOT, env=environment({}), check=True, stdout=subprocess.PIPE, text=True)
    found: list[Any] = json.loads(ended.stdout.splitlines()[-1])
    return found


def play(prepared: Path, size: int, chance: random.Random, workers: int) -> list[Any]:
    idle = f"{sys.executable} -c 'import time; time.sleep(100000)'"
    options = ["--base-model", f"{GEMMA}={TINY_MODEL}", "--engine-command", idle, "--hang-seconds", "100000"]
    with tempfile.TemporaryDirectory(prefix="soak-") as name, local_servers(Path(name), options) as servers:
        one = Round(servers, prepared, size, chance, workers)
        one.run()
        return [one.counts, *one.judge()]


if __name__ == "__main__":
    sys.exit(main())
