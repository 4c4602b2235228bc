"""Connections of the one port: who may have one, and what is spoken on it, HTTP/1.1 or, for gRPC, HTTP/2."""

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from uvicorn.protocols.http.auto import AutoHTTPProtocol

from jobs.localvertex.api.peers import why_not_connect

log = logging.getLogger(__name__)
REFUSAL = b"HTTP/1.1 403 Forbidden\r\nConnection: close\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s"
REFUSAL_SECONDS = 5.0
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"  # no request of HTTP/1.1 begins so, and no browser sends it in the clear
OtherEnd = tuple[socket.socket, Callable[[], None]]
Connect = Callable[[asyncio.Transport], Awaitable[OtherEnd]]


class Refusal(asyncio.Protocol):
    """Says why, and reads on until the other end has heard it: closed with something unread, a connection is reset."""

    def __init__(self, transport: asyncio.Transport, why: str) -> None:
        self._end = asyncio.get_running_loop().call_later(REFUSAL_SECONDS, transport.abort)
        transport.write(REFUSAL % (len(why), why.encode()))
        try:
            if transport.can_write_eof():
                transport.write_eof()
            else:
                transport.close()  # TLS says by itself that nothing follows
        except OSError:
            # It has left already. Raised, this would leave the connection to the program that it is kept from.
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end.cancel()


class Connection(AutoHTTPProtocol):  # type: ignore[misc,valid-type]
    """`grpc` opens the way to the server for HTTP/2; without it, HTTP/2 is answered as any broken request is."""

    def __init__(self, *args: Any, grpc: Connect | None = None, **named: Any) -> None:
        super().__init__(*args, **named)
        self._grpc = grpc
        self._early = b""
        self._tunnel: Tunnel | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:
        try:
            why = why_not_connect(transport.get_extra_info("socket"))
        except OSError:
            transport.abort()
        else:
            if why:
                transport.set_protocol(Refusal(transport, why))
                return
        super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        if self._tunnel is not None:
            self._tunnel.pass_on(data)
            return
        if self._grpc is not None:
            data = self._early + data
            if len(data) < len(PREFACE) and PREFACE.startswith(data):
                self._early = data
                return
            grpc, self._grpc, self._early = self._grpc, None, b""
            if data.startswith(PREFACE):
                self._tunnel = Tunnel(self.transport, grpc, data)
                return
        super().data_received(data)

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._tunnel is not None:
            self._tunnel.pause_reading()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._tunnel is not None:
            self._tunnel.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._tunnel is not None:
            self._tunnel.close()
        super().connection_lost(exc)


class Tunnel(asyncio.Protocol):
    """The bytes of one client to gRPC's socket and back, no faster than either end takes them."""

    def __init__(self, client: asyncio.Transport, connect: Connect, early: bytes) -> None:
        self._client = client
        self._early = early
        self._transport: asyncio.Transport | None = None
        self._forget: Callable[[], None] = lambda: None
        client.pause_reading()
        self._opening = asyncio.get_running_loop().create_task(self._open(connect))

    async def _open(self, connect: Connect) -> None:
        try:
            end, self._forget = await connect(self._client)
            await asyncio.get_running_loop().create_unix_connection(lambda: self, sock=end)
        except Exception:
            log.exception("A connection for gRPC could not be passed on")
            self._client.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(self._early)
        self.resume_writing()

    def pass_on(self, data: bytes) -> None:
        if self._transport is None:  # read before the pause took hold
            self._early += data
        else:
            self._transport.write(data)

    def data_received(self, data: bytes) -> None:
        self._client.write(data)

    def pause_writing(self) -> None:
        self._client.pause_reading()

    def resume_writing(self) -> None:
        with suppress(RuntimeError):  # it is closing
            self._client.resume_reading()

    def pause_reading(self) -> None:
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        if self._transport is not None:
            self._transport.resume_reading()

    def close(self) -> None:
        self._opening.cancel()
        self._forget()
        if self._transport is not None:
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._client.close()
