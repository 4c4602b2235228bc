"""Starts the local Vertex AI and the storage emulator as child processes, and stops exactly those."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).parents[2]
START_SECONDS = 60
GOOGLE = "us-central1-aiplatform.googleapis.com"
TINY = "local/tiny@tiny-gemma3"
TINY_FOLDER = Path(__file__).parents[1] / "fixtures" / "tiny-gemma3"


def order_faults(file: Path, *entries: dict[str, Any]) -> None:
    """In place of those that the file of `--faults` has. It is renamed, so that no server reads half of it."""
    partial = file.with_suffix(".partial")
    partial.write_text(json.dumps(entries))
    partial.rename(file)


@dataclass
class LocalVertex:
    """`address` as for VERTEX_API_ENDPOINT, `storage` as for STORAGE_EMULATOR_HOST."""

    address: str
    storage: str
    folder: Path
    processes: list["subprocess.Popen[bytes]"] = field(default_factory=list)

    def fault(self, method: str, mode: str, *, times: int = 1, status: int = 503, size: int = 0) -> None:
        """The next `times` calls of an API method, such as create_tuning_job, go wrong; replaces an earlier fault."""
        entry = {
            "method": method,
            "mode": mode,
            "times": times,
            "status": status,
            "bytes": size,
            "set_at": time.time_ns(),
        }
        self.order(entry)

    def order(self, *entries: dict[str, Any]) -> None:
        """What goes wrong from now on, as `jobs.localvertex.api.faults` reads it; replaces earlier faults."""
        order_faults(self.folder / "faults.json", *entries)

    def list_created(self, *methods: str) -> list[str]:
        """The names of all that was created by these calls, or by any."""
        path = self.folder / "vertex/ledger.jsonl"
        lines = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
        return [line["name"] for line in lines if not methods or line["method"] in methods]

    def log(self) -> str:
        return (self.folder / "vertex.log").read_text(errors="replace")


@contextmanager
def local_servers(folder: Path, options: Sequence[str] = ()) -> Iterator[LocalVertex]:
    with ExitStack() as stack:
        storage = stack.enter_context(storage_emulator(folder))
        port_file = folder / "port.json"
        command = [sys.executable, "-m", "jobs.localvertex", "--host", "127.0.0.1", "--port", "0"]
        command += ["--data-dir", str(folder / "vertex"), "--port-file", str(port_file)]
        command += ["--prepare", "when-needed", "--faults", str(folder / "faults.json"), "--allow-host", GOOGLE]
        command += ["--base-model", f"{TINY}={TINY_FOLDER}", *options]
        process = stack.enter_context(child(command, folder / "vertex.log", {"STORAGE_EMULATOR_HOST": storage}))
        port = wait_for(lambda: json.loads(port_file.read_text())["port"], process, folder / "vertex.log")
        yield LocalVertex(f"http://127.0.0.1:{port}", storage, folder, [process])


@contextmanager
def storage_emulator(folder: Path) -> Iterator[str]:
    port = free_port()
    command = [sys.executable, "-m", "jobs.localvertex.storage", "--data-dir", str(folder / "storage")]
    command += ["--host", "127.0.0.1", "--port", str(port), "--allow-host", "storage.googleapis.com"]
    (folder / "storage").mkdir(parents=True, exist_ok=True)
    with child(command, folder / "storage.log", {}) as process:
        wait_for(
            lambda: httpx.get(f"http://127.0.0.1:{port}/storage/v1/b", trust_env=False), process, folder / "storage.log"
        )
        yield f"http://127.0.0.1:{port}"


@contextmanager
def child(command: Sequence[str], log: Path, environment: dict[str, str]) -> Iterator["subprocess.Popen[bytes]"]:
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("VERTEX_", "STORAGE_", "COV_"))}
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env=clean | environment)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def wait_for(ready, process: "subprocess.Popen[bytes]", log: Path):
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and process.poll() is None:
        try:
            return ready()
        except (OSError, ValueError, httpx.TransportError):
            time.sleep(0.1)
    raise RuntimeError(f"{' '.join(map(str, process.args))} did not start:\n{log.read_text(errors='replace')[-4000:]}")  # type: ignore[arg-type]
