"""`endpoints/{id}/chat/completions`, always streamed from llama.cpp, so that a client who leaves stops it."""

import asyncio
import json
import random
import time
from collections.abc import Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from google.cloud.aiplatform_v1beta1.types import DeployedModel, Endpoint
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from jobs.localvertex.api import hosts
from jobs.localvertex.api.errors import ApiError, invalid, precondition
from jobs.localvertex.api.wire import Json
from jobs.localvertex.serving import bucket_images, tools
from jobs.localvertex.serving.lengths import check_length
from jobs.localvertex.serving.llama import CONTEXT_TOKENS, Plan
from jobs.localvertex.serving.pool import Serving, name_of
from jobs.localvertex.serving.templates import knows_tools
from jobs.localvertex.serving.upstream import CHAT_PATH, COMPLETION_PATH, EVENT_END, Client, Upstream
from jobs.localvertex.storage.buckets import Buckets
from jobs.localvertex.store import Store

Result = TypeVar("Result")
USAGE_ONLY = b'"choices":[]'


class ClientLeft(Exception):
    """Nobody is there to answer."""


@dataclass(frozen=True)
class Target:
    """One deployed model of the endpoint."""

    endpoint: str
    deployed: DeployedModel
    plan: Plan


class Streamed(Response):
    """Events as the model server sends them, byte for byte; a client who leaves ends them."""

    media_type = "text/event-stream"

    def __init__(self, upstream: Upstream, *, usage: bool) -> None:
        super().__init__()
        del self.headers["content-length"]
        self._upstream = upstream
        self._usage = usage

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await _while_there(receive, self._write(send))
        finally:
            await self._upstream.close()

    async def waste(self) -> None:
        await self._upstream.close()

    async def _write(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        try:
            async for events in self._upstream.events():
                if not self._usage:
                    events = [event for event in events if USAGE_ONLY not in event]
                await _say(send, b"".join(event + EVENT_END for event in events))
        except ApiError as error:
            await _say(send, f"data: {json.dumps(error.envelope())}\n\n".encode())
        await send({"type": "http.response.body", "body": b"", "more_body": False})


class Chat:
    def __init__(self, store: Store, serving: Serving, buckets: Buckets, *, dedicated_hosts: bool = False) -> None:
        self._store = store
        self._buckets = buckets
        self._serving = serving
        self._dedicated_hosts = dedicated_hosts
        self._client = Client(serving)

    def target(self, name: str, host: str, size: int) -> Target:
        """By the shares of `trafficSplit`. `size` is the request's, which a shared endpoint bounds."""
        endpoint = self._store.get(Endpoint, name)
        if self._dedicated_hosts:
            hosts.check(name, host, is_dedicated=endpoint.dedicated_endpoint_enabled)
        hosts.check_size(size, is_dedicated=endpoint.dedicated_endpoint_enabled)
        if not endpoint.deployed_models:
            raise precondition(f"Endpoint {name} has no deployed model. Deploy one first.")
        shares = [endpoint.traffic_split.get(one.id, 0) for one in endpoint.deployed_models]
        if not any(shares):
            raise precondition(f"Endpoint {name} sends no traffic to its deployed models. Set its traffic_split.")
        (deployed,) = random.choices(endpoint.deployed_models, shares)  # noqa: S311  # shares of traffic, no secret
        return Target(name, deployed, self._serving.plan(name_of(name, deployed.id)))

    async def complete(self, request: Request, target: Target, body: object) -> Response:
        images = target.plan.mmproj is not None
        if isinstance(body, dict) and not isinstance(body.get("model") or "", str):
            raise invalid("model must be a text.", "model")
        # In a thread: a picture has up to 24 million pixels, and a WebP is decoded.
        upstream_body = await asyncio.to_thread(bucket_images.upstream_body, self._buckets, body, images=images)
        assert isinstance(body, dict)
        if upstream_body.get("tools"):
            await asyncio.to_thread(_check_tools, target.plan)
        upstream = await self._open(request, target, CHAT_PATH, upstream_body)
        upstream.alternatives = bool(body.get("top_logprobs"))
        if body.get("stream"):
            return Streamed(upstream, usage=bool((body.get("stream_options") or {}).get("include_usage")))
        try:
            return JSONResponse(await _while_there(request.receive, _collect(upstream)))
        finally:
            await upstream.close()

    async def completion(self, request: Request, target: Target, body: Json) -> str:
        """The text that goes on after a plain prompt."""
        upstream = await self._open(request, target, COMPLETION_PATH, body)
        try:
            return await _while_there(request.receive, _text(upstream))
        finally:
            await upstream.close()

    async def completion_stream(self, request: Request, target: Target, body: Json) -> Response:
        return Streamed(await self._open(request, target, COMPLETION_PATH, body), usage=False)

    async def _open(self, request: Request, target: Target, path: str, body: Json) -> Upstream:
        await asyncio.to_thread(check_length, body, CONTEXT_TOKENS)
        work = self._client.open(target.plan.name, path, body)
        return await _while_there(request.receive, work)


def _check_tools(plan: Plan) -> None:
    """llama.cpp would leave them out, and nobody would be told."""
    if not knows_tools(Path(plan.model), Path(plan.hf) if plan.hf else None):
        raise invalid(
            "tools: the chat template of this model knows no tools. Take them out, or use another model.", "tools"
        )


async def _while_there(receive: Receive, work: Coroutine[Any, Any, Result]) -> Result:
    """Cancels `work` when the client closes the connection."""
    task, gone = asyncio.ensure_future(work), asyncio.ensure_future(_wait_for_disconnect(receive))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ClientLeft
        return task.result()
    finally:
        for waiting in (task, gone):
            waiting.cancel()
        await asyncio.gather(task, gone, return_exceptions=True)


async def _wait_for_disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _say(send: Send, text: bytes) -> None:
    if text:
        await send({"type": "http.response.body", "body": text, "more_body": True})


async def _collect(upstream: Upstream) -> Json:
    choices: dict[int, Json] = {}
    reply: Json = {"id": "", "object": "chat.completion", "created": int(time.time()), "model": "", "choices": []}
    async for chunk in upstream.chunks():
        reply |= {key: chunk[key] for key in ("id", "created", "model", "usage", "timings") if key in chunk}
        for part in chunk["choices"]:
            _add(choices, part)
    reply["choices"] = [choices[index] for index in sorted(choices)]
    return reply


async def _text(upstream: Upstream) -> str:
    parts = [part async for chunk in upstream.chunks() for part in chunk["choices"]]
    return "".join(part.get("text") or "" for part in parts)


def _add(choices: dict[int, Json], part: Json) -> None:
    message = {"role": "assistant", "content": ""}
    empty = {"index": part["index"], "message": message, "finish_reason": None}
    choice = choices.setdefault(part["index"], empty)
    choice["message"]["content"] += part["delta"].get("content") or ""
    tools.add(choice["message"], part["delta"].get("tool_calls"))
    choice["finish_reason"] = part.get("finish_reason") or choice["finish_reason"]
    if logprobs := part.get("logprobs"):
        choice.setdefault("logprobs", {"content": []})["content"] += logprobs.get("content") or []
