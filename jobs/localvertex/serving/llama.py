"""One llama.cpp server as a child process: start it, know when it answers, end it."""

import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import httpx

from jobs.localvertex import last_words
from jobs.localvertex.devices.cores import count_cores
from jobs.localvertex.hangs import Watch
from jobs.localvertex.memory import serving as memory
from jobs.localvertex.memory.free import resident
from jobs.localvertex.models.containers import CONTEXT_TOKENS, LEAST_CONTEXT
from jobs.localvertex.serving.prompts.templates import chat_template

SERVING_COMMAND = (sys.executable, "-m", "jobs.localvertex.serving.child")
KEY_VARIABLE = "SERVING_API_KEY"  # In the environment: every user of the machine reads command lines.
PORT_FILE = "port.json"
ADDRESS = "http://model"  # Of whatever is at the other end of the socket.
SLOTS = 4
# Threads wait for each other at every layer: beside other work on two cores, two gave 1-5 tokens/s and one gave 34.
THREADS = max(1, (os.cpu_count() or 2) // 2)
# For prompts and for several answers at once: these have enough to compute for threads that wait for each other. On two
# cores, 4 and 8 chats of one model are 1.6 times as fast. By default, OpenMP's threads wait in a loop, which halves the
# speed beside other programs and takes a third of that of two model servers; with few spins they take turns.
THREADS_TOGETHER, SPINS = max(THREADS, count_cores() or 0), 1000
START_SECONDS = 120.0
HANG_SECONDS, HEALTH_SECONDS = 20.0, 2.0
MEASURED_TOKENS = 24


@dataclass(frozen=True)
class Plan:
    """What to serve for one deployed model; `name` is `ENDPOINT/deployedModels/ID`, `hf` the base model's folder.
    `display_name` is known while it is being deployed."""

    name: str
    model: str
    mmproj: str | None = None
    adapter: str | None = None
    hf: str | None = None
    display_name: str = ""
    alias: str = ""  # what answers call the model; its endpoint's id when empty
    idle_seconds: float | None = None  # None: as all others
    sampling: dict[str, float] = field(default_factory=dict, hash=False)  # where a request does not say
    speed_name: str = ""  # by which the speed is kept that is measured; nothing is without one
    context: int = CONTEXT_TOKENS  # of each conversation

    def need(self) -> int:
        """Bytes of memory."""
        return memory.need(self.model, self.mmproj, self.adapter, context=self.context, slots=SLOTS)

    def needs(self) -> dict[int, int]:
        """The same by the tokens of the context: of its own first, then of each half of the one before."""
        halves = (self.context >> times for times in range(1, self.context.bit_length()))
        contexts = [self.context, *(tokens for tokens in halves if tokens >= LEAST_CONTEXT)]
        return {tokens: replace(self, context=tokens).need() for tokens in contexts}


@dataclass
class Child:
    process: "subprocess.Popen[bytes]"
    folder: Path
    api_key: str
    socket: Path
    answers: bool = False
    began: float = field(default_factory=time.monotonic)
    heard: float = field(default_factory=time.monotonic)
    hang_seconds: float = HANG_SECONDS
    watch: Watch | None = None

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    @property
    def ready(self) -> bool:
        """It has begun to answer: looks for the port file until it is there."""
        if not self.alive:
            return False
        self.answers = self.answers or (self.folder / PORT_FILE).exists()
        return self.answers

    @property
    def overdue(self) -> bool:
        return not self.answers and time.monotonic() - self.began > START_SECONDS

    def ask(self) -> None:
        """Waits for seconds. With more questions at once than it has threads, the answer waits for theirs."""
        if self.ready:
            transport = httpx.HTTPTransport(uds=str(self.socket))
            with suppress(httpx.HTTPError), httpx.Client(transport=transport, timeout=HEALTH_SECONDS) as client:
                client.get(f"{ADDRESS}/health")
                self.heard = time.monotonic()

    def hangs(self) -> bool:
        """Neither answers nor computes. To be asked every few seconds at least."""
        self.watch = self.watch or Watch(self.process.pid, self.hang_seconds)
        is_idle = self.watch.hangs()
        return is_idle and self.answers and time.monotonic() - self.heard > self.hang_seconds

    def kill(self) -> None:
        """At once: it holds nothing that is worth saving. When this returns, it is gone."""
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.socket.parent, ignore_errors=True)

    def resident(self) -> int:
        return resident(self.process.pid)

    def last_lines(self) -> list[str]:
        """llama.cpp tells why it ended only in its log; Python, before llama.cpp, in a traceback there."""
        return last_words.lines(self.folder / "server.log")

    def warm_up(self) -> None:
        """One token now, so that the first reader doesn't wait for what the server builds at its first answer."""
        self._answer(1)

    def measure_speed(self) -> float | None:
        """Tokens a second of one answer, which takes as long as it says; None where llama.cpp does not tell."""
        return _speed(self._answer(MEASURED_TOKENS))

    def _answer(self, tokens: int) -> httpx.Response:
        body = {"messages": [{"role": "user", "content": "Hello"}], "max_tokens": tokens, "ignore_eos": True}
        headers = {"Authorization": f"Bearer {self.api_key}"}
        with httpx.Client(transport=httpx.HTTPTransport(uds=str(self.socket), verify=False), timeout=30) as client:
            return client.post(f"{ADDRESS}/v1/chat/completions", json=body, headers=headers)


def _speed(answer: httpx.Response) -> float | None:
    try:
        return float(answer.json()["timings"]["predicted_per_second"])
    except (ValueError, KeyError, TypeError):
        return None


def launch(plan: Plan, folder: Path, command: Sequence[str]) -> Child:
    folder.mkdir(parents=True, exist_ok=True)
    port_file = folder / PORT_FILE
    port_file.unlink(missing_ok=True)
    # A port would be open to every web page and user of the machine. Paths of sockets are short: it is not in `folder`.
    socket = Path(tempfile.mkdtemp(prefix="garden-")) / "model.sock"
    api_key = secrets.token_urlsafe(24)
    config = {
        "model": plan.model,
        "mmproj": plan.mmproj,
        "adapter": plan.adapter,
        "chat_template": chat_template(Path(plan.model), Path(plan.hf) if plan.hf else None),
        "context": plan.context,
        "slots": SLOTS,
        "threads": THREADS,
        "threads_together": THREADS_TOGETHER,
        "sampling": plan.sampling,
        "alias": plan.alias or plan.name.partition("/deployedModels/")[0].rpartition("/")[2],
        "port_file": str(port_file),
        "socket": str(socket),
        "display_name": plan.display_name,
        "parent": os.getpid(),
    }
    with (folder / "server.log").open("wb") as output:
        process = subprocess.Popen(
            [*command, json.dumps(config)],
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env={**os.environ, KEY_VARIABLE: api_key, "GOMP_SPINCOUNT": str(SPINS)},
        )
    return Child(process, folder, api_key, socket)
