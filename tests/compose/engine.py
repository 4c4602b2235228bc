"""Docker where there is one, Podman where not, and one project of containers in it."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.running import ROOT

PROJECT = "com.docker.compose.project"
SERVICE = "com.docker.compose.service"
# Nothing of the shell that starts this reaches the containers.
KEPT = ("PATH", "HOME", "USER", "LANG", "TMPDIR", "XDG_", "DOCKER_", "PODMAN_", "BUILDAH_", "CONTAINERS_")


class Failed(RuntimeError):
    pass


def call(command: Sequence[str], patience: float = 900, given: str = "") -> str:
    """Its output; what it said besides is in the error."""
    environment = {key: value for key, value in os.environ.items() if key.startswith(KEPT)}
    ended = subprocess.run(
        command, cwd=ROOT, env=environment, input=given, capture_output=True, text=True, timeout=patience, check=False
    )
    if ended.returncode:
        raise Failed(f"{' '.join(command)} ended with {ended.returncode}:\n{(ended.stdout + ended.stderr)[-6000:]}")
    return ended.stdout


def works(*command: str) -> bool:
    try:
        return bool(shutil.which(command[0])) and call(command, 60) is not None
    except (Failed, subprocess.TimeoutExpired):
        return False


@dataclass(frozen=True)
class Engine:
    program: str
    compose: tuple[str, ...]

    def __call__(self, *arguments: str, patience: float = 900) -> str:
        return call((self.program, *arguments), patience)

    @property
    def is_podman(self) -> bool:
        return self.program == "podman"


def find_engine(podman_compose: str) -> Engine:
    if works("docker", "compose", "version") and works("docker", "info"):
        return Engine("docker", ("docker", "compose"))
    if works("podman", "info") and works(podman_compose, "--version"):
        return Engine("podman", (podman_compose, "--in-pod=false", "--podman-path", str(ROOT / "containers/podman")))
    raise SystemExit("There is neither Docker with its compose plugin nor Podman on this machine, or it does not run.")


def find_program() -> Engine:
    """For single containers: without anything that composes them."""
    for program in ("docker", "podman"):
        if works(program, "info"):
            return Engine(program, ())
    raise SystemExit("There is neither Docker nor Podman on this machine, or it does not run.")


@dataclass
class Stack:
    """The services of some compose files under one name; `environment` is what the file .env would hold."""

    engine: Engine
    name: str
    folder: Path
    environment: dict[str, str]
    files: list[Path] = field(default_factory=lambda: [ROOT / "docker-compose.yml"])
    profiles: tuple[str, ...] = ("local",)

    def compose(self, *arguments: str, patience: float = 900) -> str:
        env_file = self.folder / "env"
        env_file.write_text("".join(f"{name}={value}\n" for name, value in self.environment.items()))
        files = [word for file in self.files for word in ("--file", str(file))]
        profiles = [word for profile in self.profiles for word in ("--profile", profile)]
        before = [*self.engine.compose, "--project-name", self.name, "--env-file", str(env_file), *files, *profiles]
        return call([*before, *arguments], patience)

    def up(self) -> None:
        with self.checked_by_hand():
            self.compose("up", "--detach", "--no-build")

    def down(self, *, volumes: bool = False) -> None:
        """`volumes`: with what they keep."""
        mounted = self.list_volumes()
        self.compose("down", *(["--volumes"] if volumes else []))
        # podman-compose forgets those without a name of their own.
        left = set(mounted) & set(self.engine("volume", "ls", "--format", "{{.Name}}").split()) if volumes else set()
        if left:
            self.engine("volume", "rm", *left)

    def list_volumes(self, *services: str) -> list[str]:
        """The volumes of its containers, as often as they are mounted."""
        form = '{{range .Mounts}}{{if eq .Type "volume"}}{{.Name}} {{end}}{{end}}'
        names = self.containers(*services, stopped=True)
        return self.engine("inspect", "--format", form, *names).split() if names else []

    def tell(self) -> None:
        """How everything stands, and what it said last."""
        for container in self.containers(stopped=True):
            print(self.engine("inspect", "--format", "{{.Name}} {{json .State}}", container), file=sys.stderr)
        for service in ("web", "worker-jobs", "worker-chat", "beat", "vertex"):
            print(f"-- last lines of {service}\n{self.log(service)}", file=sys.stderr)

    def containers(self, *services: str, stopped: bool = False) -> list[str]:
        """Names of those that run, in the order of the services, or all; `stopped` ones, too."""
        wanted = [f"label={PROJECT}={self.name}"]
        found = []
        for label in [f"label={SERVICE}={service}" for service in services] or [""]:
            filters = [word for one in (*wanted, label) if one for word in ("--filter", one)]
            found += sorted(
                self.engine("ps", *(["--all"] if stopped else []), *filters, "--format", "{{.Names}}").split()
            )
        return found

    def execute(self, container: str, *command: str, user: str = "", patience: float = 120) -> str:
        return self.engine("exec", *(["--user", user] if user else []), container, *command, patience=patience)

    def ports(self, service: str, port: int) -> list[str]:
        """Addresses on this machine, one for each container."""
        lines = [self.engine("port", name, f"{port}/tcp").split()[0] for name in self.containers(service)]
        return [f"http://{line}" for line in lines]

    def main_process(self, container: str) -> int:
        return int(self.engine("inspect", "--format", "{{.State.Pid}}", container))

    def crash(self, *containers: str) -> None:
        """Their main processes die at one moment. `kill` of the engine would be a wish that they stay down."""
        for number in [self.main_process(name) for name in containers]:
            if runs_in_a_container(number):
                os.kill(number, signal.SIGKILL)
            else:
                self._kill_beside_the_engine(number)

    def _kill_beside_the_engine(self, number: int) -> None:
        """Where the engine has a machine of its own, or this is a user who may not."""
        power = ["--privileged", "--pid=host", "--user=0", "--entrypoint=kill"]
        self.engine("run", "--rm", *power, self.environment["CONSOLE_IMAGE"], "-9", str(number))

    def is_healthy(self, container: str) -> bool:
        """What its health check says now; without one, that it runs."""
        try:
            test = json.loads(self.engine("inspect", "--format", "{{json .Config.Healthcheck}}", container))
            words = (test or {}).get("Test") or ["CMD", "true"]
            command = words[1:] if words[0] == "CMD" else ["sh", "-c", words[1]]
            self.execute(container, *command, patience=40)
        except (Failed, subprocess.TimeoutExpired):
            return False
        return True

    @contextmanager
    def checked_by_hand(self) -> Iterator[None]:
        """Podman checks no health by itself where there is no systemd; whoever waits for it would do so for ever."""
        over = threading.Event()

        def check() -> None:
            while not over.wait(1):
                for name in self.containers():
                    subprocess.run([self.engine.program, "healthcheck", "run", name], capture_output=True, check=False)

        if not self.engine.is_podman:
            yield
            return
        thread = threading.Thread(target=check, daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join(60)

    def log(self, service: str, lines: int = 60) -> str:
        return "".join(
            subprocess.run(
                [self.engine.program, "logs", "--tail", str(lines), name],
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
            ).stdout
            for name in self.containers(service, stopped=True)
        )

    def megabytes(self) -> dict[str, float]:
        """Of memory, for each container."""
        lines = self.engine("stats", "--no-stream", "--format", "{{.Name}} {{.MemUsage}}", *self.containers())
        return {line.split()[0]: in_megabytes(line.split()[1]) for line in lines.splitlines() if line.strip()}


def runs_in_a_container(number: int) -> bool:
    """Not so where the number is one of another machine, and some program here has it by chance."""
    root = Path(f"/proc/{number}/root")
    try:
        return any((root / mark).exists() for mark in (".dockerenv", "run/.containerenv"))
    except PermissionError:
        return False


UNITS = {"KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "KB": 1e3, "MB": 1e6, "GB": 1e9, "B": 1}


def in_megabytes(text: str) -> float:
    number, unit = next(
        (text.upper().removesuffix(unit), size) for unit, size in UNITS.items() if text.upper().endswith(unit)
    )
    return float(number) * unit / 1e6
