"""A whole console, as `manage.py up` runs it, in a folder of its own."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.localservers import free_port
from tests.support.migrated import migrated

ROOT = Path(__file__).parents[2]
TINY_MODEL = ROOT / "tests/fixtures/tiny-gemma3"
GEMMA = "google/gemma3@gemma-3-270m"
LINK = re.compile(r"^Ready\. Open (http://\S+?)(/\S+)$", re.M)
OURS = ("VERTEX_", "STORAGE_", "CONSOLE_", "REDIS_", "DATABASE_", "DJANGO_", "GOOGLE_", "OMP_")


@dataclass
class Running:
    """`started` and `ready` are readings of time.monotonic()."""

    process: "subprocess.Popen[bytes]"
    data_dir: Path
    output_file: Path
    started: float
    ready: float = 0.0
    address: str = ""
    link: str = ""

    def output(self) -> str:
        return self.output_file.read_text(errors="replace")

    def pids(self) -> dict[str, int]:
        return dict(json.loads((self.data_dir / "run/processes.json").read_text())["processes"])

    def kill(self, name: str) -> int:
        pid = self.pids()[name]
        os.kill(pid, signal.SIGKILL)
        return pid

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(20)


def environment(extra: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if not key.startswith(OURS)} | dict(extra)


def launch(data_dir: Path, extra: Mapping[str, str] | None = None, *, is_empty: bool = False) -> Running:
    """`is_empty`: it makes its own tables, as on a new machine."""
    data_dir.mkdir(parents=True, exist_ok=True)
    if not is_empty and "DATABASE_URL" not in (extra or {}):
        migrated.copy_to(data_dir / "console.sqlite3")
    _choose_ports(data_dir / "run/ports.json")
    output = data_dir.with_suffix(".output")
    command = [sys.executable, str(ROOT / "manage.py"), "up", "--data-dir", str(data_dir)]
    started = time.monotonic()
    with output.open("wb") as stream:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment(extra or {}), stdin=subprocess.DEVNULL, stdout=stream, stderr=stream
        )
    return Running(process, data_dir, output, started)


def _choose_ports(ports: Path) -> None:
    """As of an earlier run. Consoles that start at the same moment would choose the same of the usual ones."""
    if not ports.exists():
        ports.parent.mkdir(exist_ok=True)
        ports.write_text(json.dumps({name: free_port() for name in ("web", "cache", "storage", "vertex")}))


def wait_for_link(console: Running, patience: float = 90) -> None:
    until = console.started + patience
    while time.monotonic() < until and console.process.poll() is None:
        if found := LINK.search(console.output()):
            console.ready = time.monotonic()
            console.address, console.link = found[1], found[1] + found[2]
            return
        time.sleep(0.05)
    raise RuntimeError(f"The console did not start:\n{console.output()[-6000:]}")


@contextmanager
def running(
    data_dir: Path, extra: Mapping[str, str] | None = None, *, is_empty: bool = False, patience: float = 90
) -> Iterator[Running]:
    console = launch(data_dir, extra, is_empty=is_empty)
    try:
        wait_for_link(console, patience)
        yield console
    finally:
        if console.process.poll() is None:
            console.process.terminate()
        try:
            console.process.wait(20)
        except subprocess.TimeoutExpired:
            console.process.kill()
            console.process.wait()


def with_tiny_model(options: str = "") -> dict[str, str]:
    """The tiny weights stand in for Gemma 3 270M: the console tunes only what it knows facts about."""
    return {"CONSOLE_LOCAL_OPTIONS": f"--prepare when-needed --base-model {GEMMA}={TINY_MODEL} {options}"}


def processes_of(data_dir: Path) -> list[int]:
    """Every living process that was given this folder, by its command line or its environment."""
    needle = str(data_dir).encode()
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            known = (folder / "cmdline").read_bytes() + (folder / "environ").read_bytes()
            alive = (folder / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
        if alive and needle in known and int(folder.name) != os.getpid():
            found.append(int(folder.name))
    return found
