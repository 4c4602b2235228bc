"""`:generateContent` and `:streamGenerateContent`."""

import json
from collections.abc import AsyncGenerator
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from jobs.localvertex.api.bodies import reply_of
from jobs.localvertex.api.errors import ApiError
from jobs.localvertex.api.wire import Json
from jobs.localvertex.serving.apis.answers import Answers
from jobs.localvertex.serving.apis.contents import build_chat_body
from jobs.localvertex.serving.chat import Chat
from jobs.localvertex.serving.prompts import tools
from jobs.localvertex.serving.streaming import Streamed, build_event
from jobs.localvertex.serving.targets import Target
from jobs.localvertex.serving.upstream import Upstream

JSON_TYPE = "application/json; charset=UTF-8"


class Generate:
    def __init__(self, chat: Chat) -> None:
        self._chat = chat

    async def whole(self, request: Request, target: Target, body: Any) -> Response:
        return reply_of(request, await self.answer(request, target, body))

    async def answer(self, request: Request, target: Target, body: Any) -> Json:
        reply = await self._chat.answer(request, target, build_chat_body(body, target.name))
        return Answers(reply["model"]).whole(reply)

    async def stream(self, request: Request, target: Target, body: Any) -> Response:
        """Events with `alt=sse`, else one JSON list that grows."""
        upstream = await self._chat.begin(request, target, build_chat_body(body, target.name))
        answers = _answers(upstream)
        query = request.query_params
        if "sse" in (query.get("alt"), query.get("$alt")):
            return Streamed(_events(answers), upstream.close)
        written = _List()
        return Streamed(written.parts(answers), upstream.close, media_type=JSON_TYPE, show_error=written.end_with)


async def _answers(upstream: Upstream) -> AsyncGenerator[Json]:
    """What ends a candidate waits for the usage, which comes after all of them. Calls are told whole, at the end."""
    answers: Answers | None = None
    ends: dict[int, Json] = {}
    calls: dict[int, Json] = {}
    usage: Json = {}
    async for chunk in upstream.chunks():
        answers = answers or Answers(chunk.get("model", ""))
        usage = chunk.get("usage") or usage
        for choice in chunk["choices"]:
            index, delta = choice["index"], choice["delta"]
            tools.add(calls.setdefault(index, {}), delta.get("tool_calls"))
            if choice.get("finish_reason"):
                ends[index] = {**choice, "message": {"content": delta.get("content") or "", **calls[index]}}
            elif delta.get("content"):
                yield answers.part({**choice, "message": {"content": delta["content"]}}, None)
    for number, index in enumerate(sorted(ends), 1):
        assert answers is not None
        yield answers.part(ends[index], usage if number == len(ends) else None)


async def _events(answers: AsyncGenerator[Json]) -> AsyncGenerator[bytes]:
    async for answer in answers:
        yield build_event(answer)


class _List:
    """A list of JSON objects, whose end is not known at its beginning."""

    def __init__(self) -> None:
        self._begun = False

    async def parts(self, answers: AsyncGenerator[Json]) -> AsyncGenerator[bytes]:
        async for answer in answers:
            yield self._next(answer)
        yield b"]" if self._begun else b"[]"

    def end_with(self, error: ApiError) -> bytes:
        return self._next(error.envelope()) + b"]"

    def _next(self, content: Json) -> bytes:
        before = b",\r\n" if self._begun else b"["
        self._begun = True
        return before + json.dumps(content, ensure_ascii=False, indent=2).encode() + b"\n"
