"""gRPC's server: the same answers as by HTTP, from the same functions, in messages and statuses."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
from google.api import httpbody_pb2
from google.rpc import status_pb2
from starlette.types import ASGIApp

from jobs.localvertex.api.bodies import LARGEST_BODY
from jobs.localvertex.api.errors import ApiError, unavailable
from jobs.localvertex.grpc_api.exchange import Exchange, Gone
from jobs.localvertex.grpc_api.methods import Rpc, table
from jobs.localvertex.grpc_api.transcoding import (
    REPLIES,
    Refusal,
    http_request,
    prediction,
    predictions,
    status_of,
    status_of_refusal,
)

log = logging.getLogger(__name__)
STREAMED = {"chat_completions", "stream_raw_predict", "server_streaming_predict", "stream_generate_content"}
OPTIONS = (("grpc.max_receive_message_length", LARGEST_BODY + 1024), ("grpc.so_reuseport", 0))
STATUS_CODES = {code.value[0]: code for code in grpc.StatusCode}
DETAILS_KEY = "grpc-status-details-bin"
OF_THE_CONNECTION = {"host", "content-length", "content-type", "transfer-encoding", "connection", "te"}
STOP_SECONDS = 0.5
Context = Any  # grpc.aio.ServicerContext, which has no types


class GrpcServer:
    """`hosts`: by which name each connection came, by its address on gRPC's side."""

    def __init__(self, application: ASGIApp, hosts: Mapping[str, str]) -> None:
        self._server = grpc.aio.server(options=OPTIONS)
        self._server.add_generic_rpc_handlers((Handlers(application, hosts),))

    async def start(self, path: Path) -> None:
        self._server.add_insecure_port(f"unix:{path}")
        await self._server.start()

    async def stop(self) -> None:
        await self._server.stop(STOP_SECONDS)


class Handlers(grpc.GenericRpcHandler):  # type: ignore[misc]
    def __init__(self, application: ASGIApp, hosts: Mapping[str, str]) -> None:
        self._application = application
        self._hosts = hosts
        self._table = table()

    def service(self, handler_call_details: Any) -> Any:
        """None for a method that HTTP does not answer either: gRPC says UNIMPLEMENTED."""
        rpc = self._table.get(handler_call_details.method)
        if rpc is None:
            return None
        if rpc.method in STREAMED:
            return grpc.unary_stream_rpc_method_handler(self._stream(rpc))
        return grpc.unary_unary_rpc_method_handler(self._answer(rpc))

    def _answer(self, rpc: Rpc) -> Any:
        async def answer(data: bytes, context: Context) -> bytes:
            refusal = None
            with self._open() as held:
                try:
                    exchange = await self._ask(rpc, data, context, held)
                    content = await exchange.whole()
                    if exchange.code < 400:
                        return exchange.message if exchange.message is not None else _message(rpc, exchange, content)
                    refusal = status_of(content)
                except (ApiError, Gone) as error:
                    refusal = _status(error)
            await _abort(context, refusal)
            return b""

        return answer

    def _stream(self, rpc: Rpc) -> Any:
        async def stream(data: bytes, context: Context) -> AsyncIterator[bytes]:
            refusal = None
            with self._open() as held:
                try:
                    exchange = await self._ask(rpc, data, context, held)
                    if exchange.code < 400:
                        async for part in _parts(rpc, exchange):
                            yield part
                        return
                    refusal = status_of(await exchange.whole())
                except (ApiError, Gone) as error:
                    refusal = _status(error)
                except Refusal as error:
                    refusal = error.status
            await _abort(context, refusal)

        return stream

    @contextmanager
    def _open(self) -> Iterator[list[Exchange]]:
        """What was begun is told when the client leaves, by its deadline too."""
        held: list[Exchange] = []
        try:
            yield held
        finally:
            for exchange in held:
                exchange.leave()

    async def _ask(self, rpc: Rpc, data: bytes, context: Context, held: list[Exchange]) -> Exchange:
        request = await asyncio.to_thread(http_request, rpc, data)
        sent = [(key, value) for key, value in context.invocation_metadata() or () if isinstance(value, str)]
        headers = [one for one in sent if one[0] not in OF_THE_CONNECTION]
        exchange = Exchange(request, [("host", self._hosts.get(context.peer(), "")), *headers])
        held.append(exchange)
        await exchange.start(self._application)
        return exchange


def _message(rpc: Rpc, exchange: Exchange, content: bytes) -> bytes:
    return prediction(rpc, content) if rpc.method in REPLIES else _http_body(exchange.content_type, content)


async def _parts(rpc: Rpc, exchange: Exchange) -> AsyncIterator[bytes]:
    rest = b""
    async for part in exchange.parts():
        if rpc.method not in REPLIES:
            yield _http_body(exchange.content_type, part)
            continue
        found, rest = predictions(rpc, rest + part)
        for message in found:
            yield message


def _http_body(content_type: str, data: bytes) -> bytes:
    body: bytes = httpbody_pb2.HttpBody(content_type=content_type, data=data).SerializeToString()
    return body


def _status(error: ApiError | Gone) -> status_pb2.Status:
    return status_of_refusal(unavailable("Socket closed") if isinstance(error, Gone) else error)


async def _abort(context: Context, status: status_pb2.Status) -> None:
    code = STATUS_CODES.get(status.code, grpc.StatusCode.INTERNAL)
    trailers = ((DETAILS_KEY, status.SerializeToString()),) if status.details else ()
    await context.abort(code, status.message, trailers)
