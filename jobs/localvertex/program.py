"""The command line, and the parts put together."""

import argparse
import asyncio
import fcntl
import logging
import os
import socket
import sqlite3
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import uvicorn

from jobs.localvertex import standalone, transports
from jobs.localvertex.api import callers
from jobs.localvertex.api.faults import Faults
from jobs.localvertex.api.hosts import GOOGLE_DOMAINS
from jobs.localvertex.app import Application
from jobs.localvertex.batch.queue import Batches
from jobs.localvertex.connections import Connection
from jobs.localvertex.devices.choice import choose_for_serving, memory_for_serving
from jobs.localvertex.devices.look import RecentLook
from jobs.localvertex.devices.machine import CUDA
from jobs.localvertex.grpc_api.backend import Backend
from jobs.localvertex.imports.importer import Imports
from jobs.localvertex.instant.model import write_base
from jobs.localvertex.memory.free import free_memory
from jobs.localvertex.memory.placing import free_with_cards
from jobs.localvertex.memory.serving import MEGABYTE, half_of_this_machine
from jobs.localvertex.models import catalogue
from jobs.localvertex.models.base_models import BaseModels
from jobs.localvertex.models.catalogue import LOCAL_MACHINE, Catalogue
from jobs.localvertex.models.conversion import Converter
from jobs.localvertex.models.exports import Exports
from jobs.localvertex.models.machines import USUAL_MACHINE
from jobs.localvertex.models.weights import discover
from jobs.localvertex.observability.answers import Answers
from jobs.localvertex.options import arguments
from jobs.localvertex.resources.call import Parts
from jobs.localvertex.resources.imports import KEY_VARIABLE
from jobs.localvertex.serving.deployments import Deployments
from jobs.localvertex.serving.pool import Serving
from jobs.localvertex.serving.quantizations import Quantizations
from jobs.localvertex.serving.speeds import Speeds
from jobs.localvertex.serving.targets import Targets
from jobs.localvertex.shortages import Calm, shortage_of
from jobs.localvertex.storage.buckets import Buckets
from jobs.localvertex.store import Ledger, Store
from jobs.localvertex.tuning.queue import Runner
from jobs.localvertex.tuning.trials import Trials
from jobs.log_lines import LineFormatter

DAMAGED = (
    "If it is damaged, restore the last backup, or move it away: the local Vertex AI then begins with no jobs, models "
    "and endpoints."
)
PRIVATE_UMASK = 0o077


def main(application: type[Application] = Application) -> None:
    options = arguments()
    set_up_logging()
    os.umask(PRIVATE_UMASK)
    for handler in logging.getLogger().handlers:
        handler.addFilter(Calm())
    remove_data = standalone.settle_data_dir(options)
    lock = _only_one(options.data_dir)
    listener = _listen(options.host, options.port)
    end_storage = standalone.start_storage(options)
    parts = build(options)
    domains = GOOGLE_DOMAINS if options.as_google else ()
    known = callers.hosts(options.host, listener.getsockname()[1], options.allow_host, domains)
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
    standalone.stop_at_eof(options)
    server = LocalServer(config, parts, options, secure.authority if secure else None, grpc)
    server.at_end = [end_storage, remove_data]
    server.run(sockets=[listener])
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
    engine: list[str] = options.engine_command
    import_key = os.environ.pop(KEY_VARIABLE, "")  # taken out before any child is started, so that none has it
    store = open_store(data_dir / "vertex.sqlite3")
    recent_look = RecentLook()
    machine = recent_look()
    budget = options.serving_memory_mb * MEGABYTE or half_of_this_machine() + memory_for_serving(machine)
    serves_on = choose_for_serving(machine).device
    weights = _weights(data_dir, options, engine, budget)
    buckets = Buckets(os.environ.get("STORAGE_EMULATOR_HOST"))
    speeds = Speeds(data_dir / "speeds.json")
    serving = Serving(
        data_dir / "endpoints",
        options.serving_command,
        idle_seconds=options.idle_unload,
        budget=budget,
        hang_seconds=options.hang_seconds,
        speeds=speeds,
        free_memory=partial(free_with_cards, recent_look) if serves_on == CUDA else free_memory,
        where="this machine and its GPUs" if serves_on == CUDA else "this machine",
    )
    runner = Runner(
        store,
        weights,
        buckets,
        data_dir / "tuning-jobs",
        engine,
        options.tuning_at_once,
        options.hang_seconds,
        as_google=options.as_google,
    )
    imports = None if options.as_google else Imports(data_dir, weights, Converter(engine))
    known = _catalogue(weights, options)
    if imports is not None:
        imports.show_in(known)
    targets = Targets(store, known, weights, serving, dedicated_hosts=options.dedicated_hosts)
    quantizations = Quantizations(data_dir / "quantized", Converter(engine), buckets, speeds, budget)
    deployments = Deployments(store, weights, buckets, serving, quantizations)
    folder = data_dir / "batch-prediction-jobs"
    return Parts(
        store=store,
        ledger=Ledger(data_dir / "ledger.jsonl"),
        catalogue=known,
        weights=weights,
        buckets=buckets,
        serving=serving,
        runner=runner,
        deployments=deployments,
        exports=Exports(store, weights, buckets),
        trials=Trials(data_dir / "paces", engine),
        targets=targets,
        answers=Answers(data_dir / "answers.sqlite3"),
        batches=Batches(store, weights, buckets, serving, deployments, targets, folder),
        dedicated_hosts=options.dedicated_hosts,
        instant=options.instant,
        as_google=options.as_google,
        project=options.project,
        serves_on=serves_on,
        look=recent_look,
        imports=imports,
        import_key=import_key,
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
        self.at_end: list[Callable[[], None]] = []
        self._authority = authority
        self._grpc = grpc
        self._parts = parts
        self._options = options
        self._prepare_now = options.prepare == "now"

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._parts.weights.start(now=self._prepare_now)
        self._parts.deployments.start()
        self._parts.exports.start()
        self._parts.runner.start()
        self._parts.batches.start()
        assert sockets
        host, port = sockets[0].getsockname()[:2]
        address = standalone.address_of(self._options, port)
        exported = standalone.list_variables(self._options, address)
        if self._options.port_file is not None:
            standalone.write_port_file(self._options, port, exported)
        print(f"Local Vertex AI listens on {'https' if self._authority else 'http'}://{host}:{port}")
        print(*standalone.describe(self._options, address, exported), sep="\n", flush=True)
        if self._authority is not None:
            print(transports.how_to_trust(self._authority), flush=True)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Children first: what streams from them ends at once, so no connection holds the exit up."""
        loop = asyncio.get_running_loop()
        self._parts.deployments.stop()
        self._parts.exports.stop()
        self._parts.weights.stop()
        self._parts.trials.stop()
        if self._parts.imports is not None:
            self._parts.imports.stop()
        await asyncio.gather(
            loop.run_in_executor(None, self._parts.runner.stop),
            loop.run_in_executor(None, self._parts.batches.stop),
            loop.run_in_executor(None, self._parts.serving.stop_all),
        )
        if self._grpc is not None:
            await self._grpc.stop()
        await super().shutdown(sockets)
        for end in self.at_end:  # here: uvicorn raises the signal again that it was stopped by
            end()


def _weights(data_dir: Path, options: argparse.Namespace, engine: list[str], budget: int) -> BaseModels:
    own = (_random_models(data_dir, options) if options.instant else {}) | _own_models() | dict(options.base_model)
    try:
        return BaseModels(data_dir, options.models_dir, own, engine, budget)
    except ValueError as error:
        sys.exit(f"--base-model: {error}")


def _random_models(data_dir: Path, options: argparse.Namespace) -> dict[str, Path]:
    """Every model of the catalogue that chats has the same weights: none that are worth anything."""
    folders = {images: data_dir / "base-models" / ("random-images" if images else "random") for images in (False, True)}
    for images, folder in folders.items():
        write_base(folder, images=images)
    known = [model for model in _load_catalogue(options).all() if not model.sample_request]
    return {model.id: folders["image" in model.modalities] for model in known}


def _own_models() -> dict[str, Path]:
    try:
        return discover(Path(text) for text in os.environ.get("LOCALVERTEX_MODELS", "").split(os.pathsep) if text)
    except ValueError as error:
        sys.exit(f"LOCALVERTEX_MODELS: {error}")


def _catalogue(weights: BaseModels, options: argparse.Namespace) -> Catalogue:
    known = _load_catalogue(options)
    for here in weights.all():
        known.add(here.id, here.card, tunable=here.can_train, images=here.images)
        if here.can_serve and not options.as_google:
            known.with_machine(here.id, LOCAL_MACHINE)
    if options.as_google:
        known.be_google(USUAL_MACHINE)
    return known


def _load_catalogue(options: argparse.Namespace) -> Catalogue:
    files = [options.catalogue or catalogue.FILE, *([catalogue.WITHOUT_CHAT] if options.as_google else [])]
    return catalogue.load(*files)


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
