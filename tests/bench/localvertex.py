"""How the local Vertex AI answers many readers, and how long its lists take: `make bench-localvertex`.

The server runs on one core where there are two, the readers on another. What others do on this machine makes the times
worse and leaves the processor's seconds for a request as they are, so both are told."""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from google.cloud.aiplatform_v1beta1.types import Endpoint, JobState, Model, SupervisedTuningSpec, TuningJob

from jobs.localvertex.api.wire import now
from jobs.localvertex.store import Store

PARENT = "projects/local-project/locations/us-central1"
JOBS, ENDPOINTS = 10_000, 100
STARTS = 3
READS_A_SECOND, CONNECTIONS = 200, 20
PAGE = 100
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class Figures:
    """Milliseconds, from when a request was due to the end of its answer."""

    name: str
    times: list[float]
    cpu: float

    def __str__(self) -> str:
        ordered = sorted(self.times)
        p50, p95, p99 = (ordered[min(len(ordered) - 1, int(share * len(ordered)))] for share in (0.5, 0.95, 0.99))
        each = self.cpu / len(ordered) * 1000
        return (
            f"{self.name:34} {len(ordered):6,} requests   p50 {p50:6.1f} ms   p95 {p95:6.1f} ms   p99 {p99:6.1f} ms"
            f"   processor {each:.2f} ms a request"
        )


def seed(folder: Path, jobs: int) -> None:
    store = Store(folder / "vertex.sqlite3")
    spec = SupervisedTuningSpec(
        training_dataset_uri="gs://bucket/train.jsonl",
        hyper_parameters={"epoch_count": 3, "learning_rate": 0.0001, "adapter_size": 3},
        tuning_mode=SupervisedTuningSpec.TuningMode.TUNING_MODE_PEFT_ADAPTER,
    )
    with store.transaction():
        for number in range(jobs):
            state = JobState.JOB_STATE_FAILED if number % 10 == 0 else JobState.JOB_STATE_SUCCEEDED
            store.insert(
                TuningJob(
                    name=f"{PARENT}/tuningJobs/{number + 10**18}", base_model="google/gemma3@gemma-3-1b-it",
                    tuned_model_display_name=f"job {number}", labels={"team": f"t{number % 7}"}, state=state,
                    output_uri=f"gs://bucket/out/{number}", supervised_tuning_spec=spec,
                    create_time=now(), start_time=now(), end_time=now(), update_time=now(),
                )
            )  # fmt: skip
        for number in range(ENDPOINTS):
            store.insert(Endpoint(name=f"{PARENT}/endpoints/e{number}", display_name=f"e {number}", create_time=now()))
            store.insert(Model(name=f"{PARENT}/models/m{number}", display_name=f"m {number}", version_id="1"))


@contextmanager
def serve(folder: Path, core: int | None) -> Iterator[tuple[int, int]]:
    """Its port and its process."""
    port_file = folder / "port.json"
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "jobs.localvertex", "--instant", "--data-dir", str(folder)]
    command += ["--port-file", str(port_file)]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        if core is not None:
            os.sched_setaffinity(process.pid, {core})
        while not port_file.exists():
            if process.poll() is not None:
                sys.exit((folder / "log").read_text(errors="replace"))
            time.sleep(0.01)
        yield json.loads(port_file.read_text())["port"], process.pid
    finally:
        process.terminate()
        process.wait()


def read_processor_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


class Connection:
    """As little of HTTP as a reader needs, so that the readers take none of the server's time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
        self._reader, self._writer, self._port = reader, writer, port

    @classmethod
    async def open(cls, port: int) -> "Connection":
        return cls(*await asyncio.open_connection("127.0.0.1", port, limit=2**24), port)

    async def get(self, path: str) -> bytes:
        self._writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{self._port}\r\n\r\n".encode())
        head = await self._reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise SystemExit(f"{path}: {head[:200]!r}")
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        return await self._reader.readexactly(length)


async def read_steadily(port: int, paths: Callable[[int], str], rate: int, seconds: float) -> list[float]:
    """Requests are due at an even pace, whatever became of those before: who waits for a connection waits too."""
    free: asyncio.Queue[Connection] = asyncio.Queue()
    for _ in range(CONNECTIONS):
        free.put_nowait(await Connection.open(port))
    times: list[float] = []
    began = time.monotonic()

    async def ask(number: int) -> None:
        due = began + number / rate
        await asyncio.sleep(due - time.monotonic())
        connection = await free.get()
        await connection.get(paths(number))
        times.append((time.monotonic() - due) * 1000)
        free.put_nowait(connection)

    await asyncio.gather(*(ask(number) for number in range(int(rate * seconds))))
    return times


async def read_pages(port: int, path: str) -> list[float]:
    connection = await Connection.open(port)
    times: list[float] = []
    token = ""
    while token is not None:
        began = time.monotonic()
        reply: Any = json.loads(await connection.get(f"{path}&pageToken={token}"))
        times.append((time.monotonic() - began) * 1000)
        token = reply.get("nextPageToken")
    return times


def choose_resource(number: int) -> str:
    kind = ("tuningJobs/{job}", "endpoints/e{small}", "models/m{small}", "tuningJobs/{job}")[number % 4]
    return f"/v1beta1/{PARENT}/" + kind.format(job=10**18 + number * 37 % JOBS, small=number % ENDPOINTS)


def mix_in_lists(number: int) -> str:
    """One of ten is a list of twenty."""
    if number % 10 == 0:
        kind = ("tuningJobs", "endpoints", "models")[number // 10 % 3]
        return f"/v1beta1/{PARENT}/{kind}?pageSize=20"
    return choose_resource(number)


def measure_start(folder: Path, core: int | None) -> str:
    """From the start of the process to the port file, without weights; the median of three."""
    found = []
    for number in range(STARTS):
        began = time.monotonic()
        with serve(folder / str(number), core) as (_port, pid):
            found.append((time.monotonic() - began, read_processor_seconds(pid)))
    wall, cpu = sorted(found)[STARTS // 2]
    return f"{'start to ready, without weights':34} {wall:.2f} s   processor {cpu:.2f} s"


def measure(port: int, pid: int, name: str, work: Callable[[], Any]) -> Figures:
    before = read_processor_seconds(pid)
    times: list[float] = asyncio.run(work())
    return Figures(name, times, read_processor_seconds(pid) - before)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=15, help="of each steady load (default: %(default)g)")
    parser.add_argument("--rate", type=int, default=READS_A_SECOND, help="requests a second (default: %(default)d)")
    options = parser.parse_args(argv)
    cores = sorted(os.sched_getaffinity(0))
    own = cores[0] if len(cores) > 1 else None
    if own is not None:
        os.sched_setaffinity(0, set(cores[1:]))
    jobs = f"/v1beta1/{PARENT}/tuningJobs?pageSize={PAGE}"
    with tempfile.TemporaryDirectory() as name:
        print(measure_start(Path(name) / "starts", own), flush=True)
        folder = Path(name) / "many"
        seed(folder, JOBS)
        with serve(folder, own) as (port, pid):
            rate, seconds = options.rate, options.seconds
            asyncio.run(read_steadily(port, mix_in_lists, rate, 1))
            works: list[tuple[str, Callable[[], Any]]] = [
                (f"{rate}/s, single resources", lambda: read_steadily(port, choose_resource, rate, seconds)),
                (f"{rate}/s, one in ten a list of 20", lambda: read_steadily(port, mix_in_lists, rate, seconds)),
                (f"{JOBS:,} jobs in pages of {PAGE}", lambda: read_pages(port, jobs)),
                ("the same, filter by label", lambda: read_pages(port, f"{jobs}&filter=labels.team%3Dt3")),
                ("the same, filter by state", lambda: read_pages(port, f"{jobs}&filter=state%3DJOB_STATE_FAILED")),
            ]
            for what, work in works:
                print(measure(port, pid, what, work), flush=True)
    print(f"Load of the machine: {os.getloadavg()[0]:.1f} on {len(cores)} cores")


if __name__ == "__main__":
    main()
