"""The way from the one port to gRPC's server, which begins with the first client that speaks gRPC."""

import asyncio
import itertools
import shutil
import socket
import ssl
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.types import ASGIApp

if TYPE_CHECKING:
    from jobs.localvertex.grpc_api.server import GrpcServer

NameAsked = Callable[[ssl.SSLObject], str]


class Backend:
    """`name_asked` says by which name a client of TLS asked: gRPC's server does not tell its `:authority`."""

    def __init__(self, application: ASGIApp, name_asked: NameAsked | None = None) -> None:
        self._application = application
        self._name_asked = name_asked
        self._numbers = itertools.count()
        self._hosts: dict[str, str] = {}
        self._started: asyncio.Task[tuple[Path, GrpcServer]] | None = None

    async def connect(self, client: asyncio.Transport) -> tuple[socket.socket, Callable[[], None]]:
        """A connected socket, and what to call once it is closed."""
        folder, _server = await self._running()
        own = folder / str(next(self._numbers))
        end = socket.socket(socket.AF_UNIX)
        try:
            end.setblocking(False)
            end.bind(str(own))
            self._hosts[f"unix:{own}"] = self._host(client)
            await asyncio.get_running_loop().sock_connect(end, str(folder / "grpc.sock"))
        except BaseException:
            self._hosts.pop(f"unix:{own}", None)
            end.close()
            raise
        finally:
            own.unlink(missing_ok=True)  # the name stays with the connection
        return end, partial(_forget, self._hosts, f"unix:{own}")

    async def stop(self) -> None:
        if self._started is not None and self._started.done() and not self._started.exception():
            folder, server = self._started.result()
            await server.stop()
            shutil.rmtree(folder, ignore_errors=True)

    async def _running(self) -> "tuple[Path, GrpcServer]":
        """The first client may leave before the server runs: it begins for the next one all the same."""
        if self._started is None or (self._started.done() and self._started.exception()):
            self._started = asyncio.create_task(self._start())
        return await asyncio.shield(self._started)

    async def _start(self) -> "tuple[Path, GrpcServer]":
        kind = await asyncio.to_thread(_load)
        folder = Path(tempfile.mkdtemp(prefix="garden-"))
        server = kind(self._application, self._hosts)
        await server.start(folder / "grpc.sock")
        return folder, server

    def _host(self, client: asyncio.Transport) -> str:
        address, port = client.get_extra_info("sockname")[:2]
        connection = client.get_extra_info("ssl_object")
        name = self._name_asked(connection) if connection is not None and self._name_asked else ""
        return f"{name or (f'[{address}]' if ':' in address else address)}:{port}"


def _load() -> "type[GrpcServer]":
    """For a thread: what a server without such clients never needs."""
    from jobs.localvertex.grpc_api.server import GrpcServer  # noqa: PLC0415

    return GrpcServer


def _forget(hosts: dict[str, str], peer: str) -> None:
    hosts.pop(peer, None)
