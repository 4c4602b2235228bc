"""`endpoints/{id}/chat/completions`, always streamed from llama.cpp, so that a client who leaves stops it."""

import asyncio
import json
import logging
import random
import time
from collections.abc import AsyncIterator, Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx
from google.cloud.aiplatform_v1beta1.types import DeployedModel, Endpoint
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from jobs.localvertex import bucket_images, hosts, prompts
from jobs.localvertex.buckets import Buckets
from jobs.localvertex.errors import ApiError, precondition, unavailable
from jobs.localvertex.serving import Replica, Serving, name_of
from jobs.localvertex.store import Store
from jobs.localvertex.wire import Json

log = logging.getLogger(__name__)
Result = TypeVar("Result")
TIMEOUT = httpx.Timeout(600.0, connect=5.0)
LIMITS = httpx.Limits(max_connections=256, max_keepalive_connections=16)
CHAT_PATH, COMPLETION_PATH = "/v1/chat/completions", "/v1/completions"
LOST = "The model server ended in the middle of the answer. It is being started again; send the message once more."


class ClientLeft(Exception):
    """Nobody is there to answer."""


@dataclass(frozen=True)
class Target:
    """One deployed model of the endpoint, and the process that serves it."""

    endpoint: str
    deployed: DeployedModel
    replica: Replica


class Chat:
    def __init__(self, store: Store, serving: Serving, buckets: Buckets, *, dedicated_hosts: bool = False) -> None:
        self._store = store
        self._buckets = buckets
        self._serving = serving
        self._dedicated_hosts = dedicated_hosts
        self._client = httpx.AsyncClient(timeout=TIMEOUT, limits=LIMITS, trust_env=False)

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
        return Target(name, deployed, self._serving.replica(name_of(name, deployed.id)))

    async def complete(self, request: Request, target: Target, body: object) -> Response:
        images = target.replica.plan.mmproj is not None
        # In a thread: a picture has up to 24 million pixels, and a WebP is decoded.
        upstream_body = await asyncio.to_thread(bucket_images.upstream_body, self._buckets, body, images=images)
        assert isinstance(body, dict)
        upstream = await _while_there(request, self._open(target.replica, CHAT_PATH, upstream_body))
        if body.get("stream"):
            usage = bool((body.get("stream_options") or {}).get("include_usage"))
            return StreamingResponse(_forward(upstream, usage=usage), media_type="text/event-stream")
        try:
            return JSONResponse(await _while_there(request, _collect(upstream)))
        finally:
            await upstream.aclose()

    async def completion(self, request: Request, target: Target, body: Json) -> str:
        """The text that goes on after a plain prompt."""
        upstream = await _while_there(request, self._open(target.replica, COMPLETION_PATH, body))
        try:
            return await _while_there(request, _text(upstream))
        finally:
            await upstream.aclose()

    async def completion_stream(self, request: Request, target: Target, body: Json) -> AsyncIterator[str]:
        upstream = await _while_there(request, self._open(target.replica, COMPLETION_PATH, body))
        return _forward(upstream, usage=False)

    async def _open(self, replica: Replica, path: str, body: Json) -> httpx.Response:
        headers = {"Authorization": f"Bearer {replica.api_key}"}
        request = self._client.build_request("POST", f"{replica.url}{path}", json=body, headers=headers)
        try:
            upstream = await self._client.send(request, stream=True)
        except httpx.TransportError:
            raise unavailable("The model server of this endpoint is starting. Try again in a few seconds.") from None
        if upstream.status_code != 200:
            raise await _refusal(upstream)
        return upstream


async def _refusal(upstream: httpx.Response) -> ApiError:
    try:
        body = json.loads(await upstream.aread())
    except ValueError:
        body = {}
    finally:
        await upstream.aclose()
    return prompts.refusal(upstream.status_code, body if isinstance(body, dict) else {})


async def _while_there(request: Request, work: Coroutine[Any, Any, Result]) -> Result:
    """Cancels `work` when the client closes the connection."""
    task, gone = asyncio.ensure_future(work), asyncio.ensure_future(_left(request))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ClientLeft
        return task.result()
    finally:
        for waiting in (task, gone):
            waiting.cancel()
        await asyncio.gather(task, gone, return_exceptions=True)


async def _left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _events(upstream: httpx.Response) -> AsyncIterator[str]:
    async for line in upstream.aiter_lines():
        if line.startswith("data: "):
            yield line[6:]


async def _forward(upstream: httpx.Response, *, usage: bool) -> AsyncIterator[str]:
    finished = False
    try:
        async for data in _events(upstream):
            finished = data == "[DONE]"
            if usage or '"choices":[]' not in data:
                yield f"data: {data}\n\n"
    except httpx.TransportError as error:
        log.warning("a stream ended early: %s", error)
    finally:
        await upstream.aclose()
    if not finished:
        yield f"data: {json.dumps(unavailable(LOST).envelope())}\n\n"


async def _collect(upstream: httpx.Response) -> Json:
    choices: dict[int, Json] = {}
    reply: Json = {"id": "", "object": "chat.completion", "created": int(time.time()), "model": "", "choices": []}
    finished = False
    try:
        async for data in _events(upstream):
            if data == "[DONE]":
                finished = True
                break
            chunk = json.loads(data)
            if "error" in chunk:
                raise prompts.refusal(int(chunk["error"].get("code", 500)), chunk)
            reply |= {key: chunk[key] for key in ("id", "created", "model", "usage", "timings") if key in chunk}
            for part in chunk["choices"]:
                _add(choices, part)
    except httpx.TransportError:
        finished = False
    if not finished:
        raise unavailable(LOST)
    reply["choices"] = [choices[index] for index in sorted(choices)]
    return reply


async def _text(upstream: httpx.Response) -> str:
    text = ""
    try:
        async for data in _events(upstream):
            if data == "[DONE]":
                return text
            chunk = json.loads(data)
            if "error" in chunk:
                raise prompts.refusal(int(chunk["error"].get("code", 500)), chunk)
            text += "".join(part.get("text") or "" for part in chunk["choices"])
    except httpx.TransportError as error:
        log.warning("an answer ended early: %s", error)
    raise unavailable(LOST)


def _add(choices: dict[int, Json], part: Json) -> None:
    message = {"role": "assistant", "content": ""}
    empty = {"index": part["index"], "message": message, "finish_reason": None}
    choice = choices.setdefault(part["index"], empty)
    choice["message"]["content"] += part["delta"].get("content") or ""
    choice["finish_reason"] = part.get("finish_reason") or choice["finish_reason"]
    if logprobs := part.get("logprobs"):
        choice.setdefault("logprobs", {"content": []})["content"] += logprobs.get("content") or []
