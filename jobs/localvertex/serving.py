"""llama.cpp children, one a deployed model: start, health, restart after a crash, stop."""

import json
import logging
import os
import re
import secrets
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx

from jobs.localvertex.base_models import end
from jobs.localvertex.errors import ApiError, precondition, unavailable

log = logging.getLogger(__name__)
CHAT_TEMPLATE = Path(__file__).with_name("chat_template.jinja")
SERVING_COMMAND = (sys.executable, "-m", "jobs.localvertex.serving_child")
CONTEXT_TOKENS = 8192
SLOTS = 4
# Threads wait for each other at every layer: beside other work on two cores, two gave 1-5 tokens/s and one gave 34.
THREADS = max(1, (os.cpu_count() or 2) // 2)
START_SECONDS = 120.0
POLL_SECONDS = 0.02
WATCH_SECONDS = 0.25
LONGEST_PAUSE_SECONDS = 30.0


@dataclass(frozen=True)
class Plan:
    """What to serve for one deployed model; `name` is `ENDPOINT/deployedModels/ID`."""

    name: str
    model: str
    mmproj: str | None = None
    adapter: str | None = None


def name_of(endpoint: str, deployed_model_id: str) -> str:
    return f"{endpoint}/deployedModels/{deployed_model_id}"


@dataclass
class Replica:
    plan: Plan
    folder: Path
    api_key: str
    child: subprocess.Popen[bytes]
    url: str = ""
    failures: int = 0
    retry_at: float = 0.0

    @property
    def ready(self) -> bool:
        return bool(self.url) and self.child.poll() is None


class Serving:
    def __init__(self, folder: Path, command: Sequence[str] = SERVING_COMMAND) -> None:
        self._folder = folder
        self._command = list(command)
        self._lock = threading.RLock()
        self._replicas: dict[str, Replica] = {}
        self._stopping = threading.Event()

    def watch(self) -> None:
        threading.Thread(target=self._watch, name="serving", daemon=True).start()

    def folder(self, name: str) -> Path:
        endpoint, _, deployed = name.partition("/deployedModels/")
        return self._folder / endpoint.rpartition("/")[2] / deployed

    def start(self, plan: Plan, stopped: Callable[[], bool] = lambda: False) -> None:
        """Blocks until the model answers. Raises FAILED_PRECONDITION with llama.cpp's last words when it does not."""
        with self._lock:
            replica = self._replicas[plan.name] = self._spawn(plan)
        self._await(replica, stopped)

    def warm_up(self, name: str) -> None:
        """One token now, so that the first reader doesn't wait for what the server builds at its first answer."""
        replica = self._replicas.get(name)
        if replica is None:
            return
        body = {"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 1}
        headers = {"Authorization": f"Bearer {replica.api_key}"}
        try:
            httpx.post(f"{replica.url}/v1/chat/completions", json=body, headers=headers, timeout=30, trust_env=False)
        except httpx.HTTPError as error:
            log.warning("the model server of %s did not warm up: %s", name, error)

    def adopt(self, plan: Plan) -> None:
        """Starts without waiting: after a restart of this program the watcher brings it up."""
        with self._lock:
            self._replicas[plan.name] = self._spawn(plan)

    def stop(self, name: str) -> None:
        with self._lock:
            replica = self._replicas.pop(name, None)
        if replica is not None:
            end(replica.child, patience=1.0)
        shutil.rmtree(self.folder(name), ignore_errors=True)

    def stop_all(self) -> None:
        self._stopping.set()
        with self._lock:
            children = [replica.child for replica in self._replicas.values()]
        for child in children:
            child.terminate()
        deadline = time.monotonic() + 1.0
        for child in children:
            end(child, patience=max(0.05, deadline - time.monotonic()))

    def ready(self, name: str) -> bool:
        replica = self._replicas.get(name)
        return replica is not None and replica.ready

    def replica(self, name: str) -> Replica:
        replica = self._replicas.get(name)
        if replica is None:
            raise unavailable(f"{name} is not being served: its weights are not on this machine any more.")
        if not replica.ready:
            raise unavailable("The model server of this endpoint is starting. Try again in a few seconds.")
        return replica

    def _spawn(self, plan: Plan) -> Replica:
        folder = self.folder(plan.name)
        folder.mkdir(parents=True, exist_ok=True)
        port_file = folder / "port.json"
        port_file.unlink(missing_ok=True)
        api_key = secrets.token_urlsafe(24)
        config = {
            "model": plan.model,
            "mmproj": plan.mmproj,
            "adapter": plan.adapter,
            "chat_template": CHAT_TEMPLATE.read_text(encoding="utf-8"),
            "context": CONTEXT_TOKENS,
            "slots": SLOTS,
            "threads": THREADS,
            "api_key": api_key,
            "alias": plan.name.partition("/deployedModels/")[0].rpartition("/")[2],
            "port_file": str(port_file),
            "parent": os.getpid(),
        }
        with (folder / "server.log").open("wb") as output:
            command = [*self._command, json.dumps(config)]
            child = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
        return Replica(plan, folder, api_key, child)

    def _await(self, replica: Replica, stopped: Callable[[], bool]) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not self._settled(replica):
            if stopped() or self._stopping.is_set():
                raise ApiError("CANCELLED", "The deployment was cancelled.")
            if replica.child.poll() is not None:
                reason = _reason(replica.folder / "server.log")
                raise precondition(f"Model server exited unexpectedly. {reason}")
            if time.monotonic() > deadline:
                raise precondition("Model server never became ready. Please validate that your model file is valid.")
            time.sleep(POLL_SECONDS)

    def _settled(self, replica: Replica) -> bool:
        """Reads the port file once; after that the child's life is the health."""
        if not replica.url:
            try:
                replica.url = json.loads((replica.folder / "port.json").read_text())["url"]
            except (OSError, ValueError):
                return False
            replica.failures = 0
        return True

    def _watch(self) -> None:
        while not self._stopping.wait(WATCH_SECONDS):
            with self._lock:
                for name, replica in list(self._replicas.items()):
                    self._check(name, replica)

    def _check(self, name: str, replica: Replica) -> None:
        if replica.child.poll() is None:
            self._settled(replica)
        elif replica.url or replica.retry_at:
            self._revive(name, replica)
        else:
            replica.retry_at = time.monotonic()

    def _revive(self, name: str, replica: Replica) -> None:
        if time.monotonic() < replica.retry_at:
            return
        failures = replica.failures + 1
        log.warning("the model server of %s ended with code %s; starting it again", name, replica.child.returncode)
        fresh = self._spawn(replica.plan)
        fresh.failures = failures
        fresh.retry_at = time.monotonic() + min(2.0 ** (failures - 1), LONGEST_PAUSE_SECONDS)
        self._replicas[name] = fresh


def _reason(path: Path) -> str:
    """llama.cpp tells why only in its log: the last lines that it marked as errors."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return ""
    errors = [line for line in text.splitlines() if re.match(r"^(\S+ )?E |.*\berror\b", line)]
    return " ".join(errors[-2:])[-400:]
