"""`endpoints/{id}/chat/completions`, always streamed from llama.cpp, so that a client who leaves stops it."""

import asyncio
import time
from pathlib import Path

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from jobs.localvertex.api.errors import invalid
from jobs.localvertex.api.wire import Json
from jobs.localvertex.serving import bucket_images
from jobs.localvertex.serving.llama import Plan
from jobs.localvertex.serving.pool import Serving
from jobs.localvertex.serving.prompts import tools
from jobs.localvertex.serving.prompts.lengths import check_length
from jobs.localvertex.serving.prompts.templates import knows_tools
from jobs.localvertex.serving.streaming import pass_on, while_there
from jobs.localvertex.serving.targets import Target
from jobs.localvertex.serving.upstream import CHAT_PATH, COMPLETION_PATH, Client, Upstream
from jobs.localvertex.storage.buckets import Buckets


class Chat:
    def __init__(self, serving: Serving, buckets: Buckets) -> None:
        self._buckets = buckets
        self._client = Client(serving)

    async def complete(self, request: Request, target: Target, body: object) -> Response:
        if not isinstance(body, dict) or not body.get("stream"):
            return JSONResponse(await self.answer(request, target, body))
        upstream = await self.begin(request, target, body)
        return pass_on(upstream, usage=bool((body.get("stream_options") or {}).get("include_usage")))

    async def answer(self, request: Request, target: Target, body: object) -> Json:
        """The whole of it."""
        upstream = await self.begin(request, target, body)
        try:
            return await while_there(request.receive, _collect(upstream))
        finally:
            await upstream.close()

    async def begin(self, request: Request, target: Target, body: object) -> Upstream:
        """Checks the request and sends it. Whoever asks closes what comes."""
        images = target.plan.mmproj is not None
        if isinstance(body, dict) and not isinstance(body.get("model") or "", str):
            raise invalid("model must be a text.", "model")
        # In a thread: a picture has up to 24 million pixels, and a WebP is decoded.
        upstream_body = await asyncio.to_thread(bucket_images.upstream_body, self._buckets, body, images=images)
        assert isinstance(body, dict)
        if upstream_body.get("tools"):
            await asyncio.to_thread(check_tools, target.plan)
        upstream = await self.open(request, target, CHAT_PATH, upstream_body)
        upstream.alternatives = bool(body.get("top_logprobs"))
        return upstream

    async def completion(self, request: Request, target: Target, body: Json) -> str:
        """The text that goes on after a plain prompt."""
        upstream = await self.open(request, target, COMPLETION_PATH, body)
        try:
            return await while_there(request.receive, _text(upstream))
        finally:
            await upstream.close()

    async def completion_stream(self, request: Request, target: Target, body: Json) -> Response:
        return pass_on(await self.open(request, target, COMPLETION_PATH, body), usage=False)

    async def open(self, request: Request, target: Target, path: str, body: Json) -> Upstream:
        await asyncio.to_thread(check_length, body, target.plan.context)
        work = self._client.open(target.plan.name, path, body)
        return await while_there(request.receive, work)


def check_tools(plan: Plan) -> None:
    """llama.cpp would leave them out, and nobody would be told."""
    if not knows_tools(Path(plan.model), Path(plan.hf) if plan.hf else None):
        raise invalid(
            "tools: the chat template of this model knows no tools. Take them out, or use another model.", "tools"
        )


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
