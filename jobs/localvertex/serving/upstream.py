"""One request to a llama.cpp child, from waking it to the end of its answer."""

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator

import httpx

from jobs.localvertex.api.errors import ApiError, unavailable
from jobs.localvertex.api.wire import Json
from jobs.localvertex.serving.llama import ADDRESS, Child
from jobs.localvertex.serving.pool import POLL_SECONDS, ROOM_SECONDS, Serving
from jobs.localvertex.serving.prompts import checks
from jobs.localvertex.serving.served import Served

log = logging.getLogger(__name__)
TIMEOUT = httpx.Timeout(600.0, connect=5.0)
SHORT_TIMEOUT = httpx.Timeout(60.0, connect=5.0)
LIMITS = httpx.Limits(max_connections=256, max_keepalive_connections=16)
BROKEN = (httpx.NetworkError, httpx.RemoteProtocolError)
CHAT_PATH, COMPLETION_PATH = "/v1/chat/completions", "/v1/completions"
COUNT_PATH, TOKENS_PATH = "/v1/chat/completions/input_tokens", "/tokenize"
LOST = "The model server ended in the middle of the answer. It is being started again; send the message once more."
EVENT_END = b"\n\n"
DONE = b"data: [DONE]"


class Upstream:
    """An answer that is being produced. Closing it stops the model and lets the child go to sleep again."""

    def __init__(self, response: httpx.Response, serving: Serving, served: Served) -> None:
        """`alternatives` false leaves out the most probable other tokens, which llama.cpp cannot be told to omit."""
        self.alternatives = True
        self._response = response
        self._serving = serving
        self._served: Served | None = served

    async def events(self) -> AsyncIterator[list[bytes]]:
        """Whole events, without the empty line between them, as they come: several when the reader is slower.

        Raises UNAVAILABLE when the answer breaks off, and what llama.cpp says when it gives up."""
        rest = b""
        try:
            async for part in self._response.aiter_raw():
                *whole, rest = (rest + part).split(EVENT_END)
                if whole and whole[-1].startswith(b'data: {"error"'):
                    raise _parse_error(whole[-1])
                if whole:
                    yield whole if self.alternatives else [_without_alternatives(event) for event in whole]
                if DONE in whole:
                    return
        except httpx.TransportError as error:
            log.warning("an answer ended early: %s", error)
        raise unavailable(LOST)

    async def chunks(self) -> AsyncIterator[Json]:
        async for events in self.events():
            for event in events:
                if event.startswith(b"data: {"):
                    yield json.loads(event[6:])

    async def close(self) -> None:
        served, self._served = self._served, None
        if served is not None:
            self._serving.release(served)
        await self._response.aclose()


class Client:
    def __init__(self, serving: Serving) -> None:
        self._serving = serving
        self._http: dict[str, tuple[Child, httpx.AsyncClient]] = {}

    async def open(self, name: str, path: str, body: Json) -> Upstream:
        """The beginning of an answer. A child that dies before it says anything is started again, once."""
        served = self._serving.hold(name)
        try:
            child = await self._awake(served)
            try:
                response = await self._send(name, child, path, body)
            except BROKEN:
                await asyncio.to_thread(_let_it_end, child)
                response = await self._send(name, await self._awake(served), path, body)
            if response.status_code != 200:
                raise await _refusal(response)
        except BROKEN:
            self._serving.release(served)
            raise unavailable(LOST) from None
        except BaseException:
            self._serving.release(served)
            raise
        return Upstream(response, self._serving, served)

    async def _awake(self, served: Served) -> Child:
        began = time.monotonic()
        while not (served.ready and served.child):
            await asyncio.to_thread(self._serving.wake, served)
            if served.child is None and time.monotonic() - began > ROOM_SECONDS:
                raise self._serving.no_room(served)
            await asyncio.sleep(POLL_SECONDS)
        return served.child

    async def _send(self, name: str, child: Child, path: str, body: Json) -> httpx.Response:
        client = self._client(name, child)
        headers = {"Authorization": f"Bearer {child.api_key}"}
        return await client.send(
            client.build_request("POST", f"{ADDRESS}{path}", json=body, headers=headers), stream=True
        )

    def _client(self, name: str, child: Child) -> httpx.AsyncClient:
        known, client = self._http.get(name, (None, None))
        if client is None or known is not child:
            transport = httpx.AsyncHTTPTransport(uds=str(child.socket), verify=False, limits=LIMITS)
            client = httpx.AsyncClient(timeout=TIMEOUT, transport=transport)
            self._http = {other: kept for other, kept in self._http.items() if kept[0].alive} | {name: (child, client)}
        return client


def ask(serving: Serving, name: str, path: str, body: Json) -> Json:
    """One short answer, for a thread. Wakes the model first. Raises INVALID_ARGUMENT for what llama.cpp refuses."""
    served = serving.hold(name)
    try:
        child = _wake(serving, served)
        transport = httpx.HTTPTransport(uds=str(child.socket), verify=False)
        headers = {"Authorization": f"Bearer {child.api_key}"}
        with httpx.Client(transport=transport, timeout=SHORT_TIMEOUT, headers=headers) as client:
            response = client.post(f"{ADDRESS}{path}", json=body)
        found = response.json()
    except (httpx.HTTPError, ValueError):
        raise unavailable(LOST) from None
    finally:
        serving.release(served)
    if response.status_code != 200 or not isinstance(found, dict):
        raise checks.refusal(response.status_code, found if isinstance(found, dict) else {})
    return found


def _wake(serving: Serving, served: Served) -> Child:
    began = time.monotonic()
    while not (serving.wake(served) and served.child):
        if served.child is None and time.monotonic() - began > ROOM_SECONDS:
            raise serving.no_room(served)
        time.sleep(POLL_SECONDS)
    return served.child


def _let_it_end(child: Child) -> None:
    """Its connections close a moment before the process has ended; one that lives on is asked again."""
    until = time.monotonic() + 1.0
    while child.alive and time.monotonic() < until:
        time.sleep(POLL_SECONDS)


async def _refusal(response: httpx.Response) -> ApiError:
    try:
        body = json.loads(await response.aread())
    except ValueError:
        body = {}
    finally:
        await response.aclose()
    return checks.refusal(response.status_code, body if isinstance(body, dict) else {})


def _without_alternatives(event: bytes) -> bytes:
    if b'"top_logprobs"' not in event:
        return event
    chunk = json.loads(event[6:])
    for part in chunk["choices"]:
        for token in (part.get("logprobs") or {}).get("content") or []:
            token["top_logprobs"] = []
    return b"data: " + json.dumps(chunk).encode()


def _parse_error(event: bytes) -> ApiError:
    try:
        body = json.loads(event[6:])
        return checks.refusal(int(body["error"].get("code", 500)), body)
    except (ValueError, TypeError, AttributeError):
        return unavailable(LOST)
