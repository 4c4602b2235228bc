"""The command line, and the parts put together."""

import argparse
import asyncio
import fcntl
import json
import logging
import os
import shlex
import socket
import sqlite3
import sys
from functools import partial
from pathlib import Path
from typing import Any

import uvicorn

from jobs.localvertex import transports
from jobs.localvertex.api import callers
from jobs.localvertex.api.faults import Faults
from jobs.localvertex.app import Application
from jobs.localvertex.connections import Connection
from jobs.localvertex.grpc_api.backend import Backend
from jobs.localvertex.ledger import Ledger
from jobs.localvertex.models import catalogue
from jobs.localvertex.models.base_models import BaseModels
from jobs.localvertex.models.catalogue import LOCAL_MACHINE, Catalogue
from jobs.localvertex.models.conversion import Converter
from jobs.localvertex.models.exports import Exports
from jobs.localvertex.models.weights import discover
from jobs.localvertex.resources.call import Parts
from jobs.localvertex.serving.deployments import Deployments
from jobs.localvertex.serving.llama import HANG_SECONDS, SERVING_COMMAND
from jobs.localvertex.serving.memory import MEGABYTE
from jobs.localvertex.serving.pool import IDLE_SECONDS, Serving
from jobs.localvertex.shortages import Calm, shortage_of
from jobs.localvertex.storage.buckets import Buckets
from jobs.localvertex.store import Store
from jobs.localvertex.tuning.queue import Runner
from jobs.localvertex.tuning.trials import Trials
from jobs.log_lines import LineFormatter

DESCRIPTION = "Vertex AI for open models on this machine: tuning, endpoints and chat, without an account."
EPILOG = """\
environment:
  STORAGE_EMULATOR_HOST  http://HOST:PORT of a Cloud Storage emulator; without it, gs:// is Google's
  LOCALVERTEX_MODELS     own models, separated by colons: folders with Hugging Face files, model.gguf or both,
                         folders of such folders, and GGUF files; each appears as local/NAME@NAME

clients: set api_endpoint to the printed address, transport="rest", and any credentials.
GET /healthz tells which base models are ready. SIGTERM stops the server and its children.
"""
MAX_AT_ONCE = 16
DAMAGED = (
    "If it is damaged, restore the last backup, or move it away: the local Vertex AI then begins with no jobs, models "
    "and endpoints."
)
PRIVATE_UMASK = 0o077
ENGINE_COMMAND = shlex.join([sys.executable, "-m", "jobs.localvertex.engine"])


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m jobs.localvertex",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument(
        "--allow-host",
        action="append",
        default=[],
        metavar="NAME",
        help="another host name by which clients may ask, such as that of a container",
    )
    parser.add_argument("--port", type=int, default=0, help="0 picks a free one (default)")
    parser.add_argument("--data-dir", type=Path, required=True, help="everything that this server remembers")
    parser.add_argument("--port-file", type=Path, help='written once it listens: {"port": …, "pid": …}')
    parser.add_argument(
        "--models-dir", type=Path, action="append", default=[], help="a folder that holds prepared base models"
    )
    parser.add_argument(
        "--base-model",
        type=_parse_folder,
        action="append",
        default=[],
        metavar="ID=FOLDER",
        help="a folder with Hugging Face files, model.gguf or both, e.g. local/tiny@tiny-gemma3=./tiny; without"
        " model.gguf it is converted when it is first deployed",
    )
    parser.add_argument(
        "--prepare",
        choices=("now", "when-needed"),
        default="now",
        help="when to convert base models for tuning (default: %(default)s, in the background)",
    )
    parser.add_argument(
        "--tuning-at-once",
        type=_count,
        default=1,
        metavar="N",
        help="how many tuning jobs and custom jobs run at a time; others wait, the oldest first (default: %(default)s)",
    )
    parser.add_argument(
        "--dedicated-hosts",
        action="store_true",
        help="give every dedicated endpoint a host name of its own and refuse the shared address for it, as Google"
        " does; off by default, since not every resolver knows ENDPOINT.REGION-NUMBER.prediction.localhost",
    )
    transports.add_options(parser)
    _serving_options(parser)
    parser.add_argument("--faults", type=Path, help="JSON list of faults for reliability tests; read at every request")
    parser.add_argument("--hang-seconds", type=_seconds, default=HANG_SECONDS, help=argparse.SUPPRESS)
    parser.add_argument("--engine-command", default=ENGINE_COMMAND, help=argparse.SUPPRESS)
    parser.add_argument("--serving-command", default=shlex.join(SERVING_COMMAND), help=argparse.SUPPRESS)
    return parser.parse_args(argv)


def _serving_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--idle-unload",
        type=_seconds,
        default=IDLE_SECONDS,
        metavar="SECONDS",
        help="stop the model server of an endpoint that nobody used for so long; the next request starts it again;"
        " 0: never (default: %(default)g)",
    )
    parser.add_argument(
        "--serving-memory-mb",
        type=_megabytes,
        default=0,
        metavar="MB",
        help="what all model servers together may take; the least recently used idle one makes room for another"
        " (default: half of this machine's memory)",
    )


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 <= seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not a number of seconds")
    return seconds


def _count(text: str) -> int:
    if not 1 <= int(text) <= MAX_AT_ONCE:
        raise argparse.ArgumentTypeError(f"{text} is not a number from 1 to {MAX_AT_ONCE}")
    return int(text)


def _megabytes(text: str) -> int:
    if int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a number of megabytes")
    return int(text)


def main(application: type[Application] = Application) -> None:
    options = arguments()
    set_up_logging()
    os.umask(PRIVATE_UMASK)
    for handler in logging.getLogger().handlers:
        handler.addFilter(Calm())
    options.data_dir.mkdir(parents=True, exist_ok=True)
    lock = _only_one(options.data_dir)
    listener = _listen(options.host, options.port)
    parts = build(options)
    known = callers.hosts(options.host, listener.getsockname()[1], options.allow_host)
    app = application(parts, Faults(options.faults), known)
    secure = transports.certificates(options)
    grpc = Backend(app, secure.name_asked if secure else None) if options.grpc else None
    config = uvicorn.Config(
        app,
        http=partial(Connection, grpc=grpc.connect if grpc else None),  # type: ignore[arg-type]
        ssl_context_factory=(lambda *_: secure.context()) if secure else None,
        ws="none",
        log_config=None,
        access_log=False,
        lifespan="off",
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=1,
    )
    LocalServer(config, parts, options, secure.authority if secure else None, grpc).run(sockets=[listener])
    lock.close()
    sys.stdout.flush()
    # Waiting for daemon threads and taking apart a thousand protobuf modules would cost a second.
    os._exit(0)


def set_up_logging() -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(LineFormatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    logging.getLogger("httpx").setLevel(logging.WARNING)


def open_store(path: Path) -> Store:
    try:
        store = Store(path)
        store.check()
    except sqlite3.Error as error:
        sys.exit(f"{path} cannot be used: {error}. {shortage_of(error) or DAMAGED}")
    return store


def build(options: argparse.Namespace) -> Parts:
    data_dir: Path = options.data_dir.resolve()
    engine = shlex.split(options.engine_command)
    store = open_store(data_dir / "vertex.sqlite3")
    weights = _weights(data_dir, options, engine)
    buckets = Buckets(os.environ.get("STORAGE_EMULATOR_HOST"))
    serving = Serving(
        data_dir / "endpoints",
        shlex.split(options.serving_command),
        idle_seconds=options.idle_unload,
        budget=options.serving_memory_mb * MEGABYTE,
        hang_seconds=options.hang_seconds,
    )
    runner = Runner(
        store, weights, buckets, data_dir / "tuning-jobs", engine, options.tuning_at_once, options.hang_seconds
    )
    return Parts(
        store=store,
        ledger=Ledger(data_dir / "ledger.jsonl"),
        catalogue=_catalogue(weights),
        weights=weights,
        buckets=buckets,
        serving=serving,
        runner=runner,
        deployments=Deployments(store, weights, buckets, serving, Converter(engine)),
        exports=Exports(store, weights, buckets),
        trials=Trials(data_dir / "paces", engine),
        dedicated_hosts=options.dedicated_hosts,
    )


class LocalServer(uvicorn.Server):
    """Starts and stops the children together with the listening socket."""

    def __init__(
        self,
        config: uvicorn.Config,
        parts: Parts,
        options: argparse.Namespace,
        authority: Path | None,
        grpc: Backend | None,
    ) -> None:
        super().__init__(config)
        self._authority = authority
        self._grpc = grpc
        self._parts = parts
        self._port_file: Path | None = options.port_file
        self._prepare_now = options.prepare == "now"

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._parts.weights.start(now=self._prepare_now)
        self._parts.deployments.start()
        self._parts.exports.start()
        self._parts.runner.start()
        assert sockets
        host, port = sockets[0].getsockname()[:2]
        if self._port_file is not None:
            partial = self._port_file.with_name(self._port_file.name + ".partial")
            partial.write_text(json.dumps({"port": port, "pid": os.getpid()}), encoding="utf-8")
            partial.replace(self._port_file)
        print(f"Local Vertex AI listens on {'https' if self._authority else 'http'}://{host}:{port}", flush=True)
        if self._authority is not None:
            print(transports.how_to_trust(self._authority), flush=True)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Children first: what streams from them ends at once, so no connection holds the exit up."""
        loop = asyncio.get_running_loop()
        self._parts.deployments.stop()
        self._parts.exports.stop()
        self._parts.weights.stop()
        self._parts.trials.stop()
        await asyncio.gather(
            loop.run_in_executor(None, self._parts.runner.stop),
            loop.run_in_executor(None, self._parts.serving.stop_all),
        )
        if self._grpc is not None:
            await self._grpc.stop()
        await super().shutdown(sockets)


def _weights(data_dir: Path, options: argparse.Namespace, engine: list[str]) -> BaseModels:
    own = _own_models() | dict(options.base_model)
    try:
        return BaseModels(data_dir, options.models_dir, own, engine)
    except ValueError as error:
        sys.exit(f"--base-model: {error}")


def _own_models() -> dict[str, Path]:
    try:
        return discover(Path(text) for text in os.environ.get("LOCALVERTEX_MODELS", "").split(os.pathsep) if text)
    except ValueError as error:
        sys.exit(f"LOCALVERTEX_MODELS: {error}")


def _catalogue(weights: BaseModels) -> Catalogue:
    known = catalogue.load()
    for here in weights.all():
        known.add(here.id, here.card, tunable=here.can_train, images=here.images)
        if here.can_serve:
            known.with_machine(here.id, LOCAL_MACHINE)
    return known


def _parse_folder(text: str) -> tuple[str, Path]:
    name, separator, folder = text.partition("=")
    if not separator or not catalogue.ID.match(name):
        raise argparse.ArgumentTypeError(f"{text!r} is not {{publisher}}/{{model}}@{{version}}=FOLDER")
    if not Path(folder).is_dir():
        raise argparse.ArgumentTypeError(f"{folder} is not a folder")
    return name, Path(folder).resolve()


def _listen(host: str, port: int) -> socket.socket:
    # With its protocol named: asyncio sends small packets at once (TCP_NODELAY) on such sockets only.
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, port))
    return listener


def _only_one(data_dir: Path) -> Any:
    lock = (data_dir / "lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.exit(f"A local Vertex AI runs in {data_dir} already. Stop it first, or use another --data-dir.")
    return lock
