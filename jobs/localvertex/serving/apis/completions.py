"""`completions` of OpenAI's older API, as vLLM serves it: texts that go on after one prompt or several."""

import asyncio
import time
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from jobs.localvertex.api.errors import invalid
from jobs.localvertex.api.wire import Json
from jobs.localvertex.serving.chat import Chat
from jobs.localvertex.serving.prompts import checks
from jobs.localvertex.serving.streaming import DONE_EVENT, Streamed, build_event, while_there
from jobs.localvertex.serving.targets import Target
from jobs.localvertex.serving.upstream import COMPLETION_PATH, Upstream

MAX_PROMPTS = 16
MAX_LOGPROBS = 5
DEFAULT_MAX_TOKENS = 16
COUNTS = ("prompt_tokens", "completion_tokens", "total_tokens")


@dataclass(frozen=True)
class Part:
    """One choice of the answer, and what llama.cpp is asked for it."""

    index: int
    prompt: str
    body: Json
    echo: bool


class Completions:
    def __init__(self, chat: Chat) -> None:
        self._chat = chat

    async def complete(self, request: Request, target: Target, body: object) -> Response:
        parts = _parse_parts(body)
        assert isinstance(body, dict)
        each = len(parts) // _count_prompts(body)
        if body.get("stream"):
            first = await self._open(request, target, parts[0])
            usage = bool((body.get("stream_options") or {}).get("include_usage"))
            return Streamed(self._events(request, target, parts, first, each if usage else 0), first.close)
        found = await asyncio.gather(*(self._whole(request, target, part) for part in parts))
        reply = _build_head(found[0][1])
        reply["choices"] = [choice for choice, _ in found]
        reply["usage"] = _add_up([told.get("usage") or {} for _, told in found], each)
        return JSONResponse(reply)

    async def _open(self, request: Request, target: Target, part: Part) -> Upstream:
        return await self._chat.open(request, target, COMPLETION_PATH, part.body)

    async def _whole(self, request: Request, target: Target, part: Part) -> tuple[Json, Json]:
        upstream = await self._open(request, target, part)
        try:
            return await while_there(request.receive, _collect(upstream, part))
        finally:
            await upstream.close()

    async def _events(
        self, request: Request, target: Target, parts: list[Part], first: Upstream, each: int
    ) -> AsyncGenerator[bytes]:
        """One choice after the other: each as it comes. `each` of 0 tells no usage."""
        counted: list[Json] = []
        told: Json = {}
        for part in parts:
            upstream = first if part.index == 0 else await self._open(request, target, part)
            try:
                offset = 0
                async for chunk in upstream.chunks():
                    told = told or _build_head(chunk)
                    counted += [chunk["usage"]] if chunk.get("usage") else []
                    for piece in chunk["choices"]:
                        choice = _build_choice(part, piece, offset)
                        offset += len(choice["text"])
                        yield build_event({**told, "choices": [choice]})
            finally:
                await upstream.close()
        if each:
            yield build_event({**told, "choices": [], "usage": _add_up(counted, each)})
        yield DONE_EVENT


def _parse_parts(body: object) -> list[Part]:
    """Raises INVALID_ARGUMENT."""
    if not isinstance(body, dict):
        raise invalid("The request body must be a JSON object.")
    given = {key: value for key, value in body.items() if value is not None}
    many, logprobs = given.pop("n", 1), given.pop("logprobs", None)
    checks.check_fields({"n": many})
    if isinstance(logprobs, bool) or not isinstance(logprobs, int | None) or not 0 <= (logprobs or 0) <= MAX_LOGPROBS:
        raise invalid(f"logprobs must be a whole number between 0 and {MAX_LOGPROBS}.", "logprobs")
    if given.get("best_of", many) != many:
        raise invalid("best_of must be the same as n: choices are not ranked.", "best_of")
    if given.get("suffix"):
        raise invalid("suffix is not supported: models of this server go on after a prompt.", "suffix")
    if not isinstance(given.get("echo", False), bool):
        raise invalid("echo must be true or false.", "echo")
    wanted = {"max_tokens": DEFAULT_MAX_TOKENS, **given}
    return [
        Part(index, text, _upstream_body(wanted, text, index % many, logprobs), bool(given.get("echo")))
        for index, text in enumerate(text for text in _read_texts(given) for _ in range(many))
    ]


def _upstream_body(wanted: Json, text: str, number: int, logprobs: int | None) -> Json:
    """Each of several choices for a prompt has a seed of its own, else they would be the same."""
    found = checks.completion_body({**wanted, "prompt": text})
    if number and "seed" in found:
        found["seed"] += number
    return found if logprobs is None else {**found, "logprobs": max(1, logprobs)}


def _read_texts(given: Json) -> list[str]:
    prompt = given.get("prompt")
    texts: list[Any] = prompt if isinstance(prompt, list) else [prompt]
    if not 1 <= len(texts) <= MAX_PROMPTS:
        raise invalid(f"prompt must be a text, or a list of 1 to {MAX_PROMPTS} texts.", "prompt")
    if any(isinstance(text, int | list) for text in texts):
        raise invalid("prompt must hold texts: tokens are not taken.", "prompt")
    return texts


def _count_prompts(body: Json) -> int:
    return len(body["prompt"]) if isinstance(body["prompt"], list) else 1


async def _collect(upstream: Upstream, part: Part) -> tuple[Json, Json]:
    """The choice, and what else the model server told."""
    whole: Json = {"index": part.index, "text": "", "logprobs": None, "finish_reason": None}
    told: Json = {}
    async for chunk in upstream.chunks():
        told |= {key: chunk[key] for key in ("id", "created", "model", "usage") if chunk.get(key)}
        for piece in chunk["choices"]:
            choice = _build_choice(part, piece, len(whole["text"]))
            whole["text"] += choice["text"]
            whole["finish_reason"] = choice["finish_reason"] or whole["finish_reason"]
            whole["logprobs"] = _join(whole["logprobs"], choice["logprobs"])
    return whole, told


def _build_choice(part: Part, piece: Json, offset: int) -> Json:
    """`offset` is where its text begins in the whole; an echoed prompt goes before everything."""
    before = part.prompt if part.echo and not offset else ""
    logprobs = _convert_logprobs(piece, offset + len(before), part.body.get("logprobs"))
    return {
        "index": part.index,
        "text": before + (piece.get("text") or ""),
        "logprobs": logprobs,
        "finish_reason": piece.get("finish_reason"),
    }


def _convert_logprobs(piece: Json, offset: int, most: int | None) -> Json | None:
    """llama.cpp tells them in the form of the chat."""
    tokens = (piece.get("logprobs") or {}).get("content") or []
    if most is None or not tokens:
        return None
    return {
        "tokens": [one["token"] for one in tokens],
        "token_logprobs": [one["logprob"] for one in tokens],
        "top_logprobs": [{top["token"]: top["logprob"] for top in one["top_logprobs"][:most]} for one in tokens],
        "text_offset": list(_count_offsets(tokens, offset)),
    }


def _count_offsets(tokens: list[Json], offset: int) -> Iterator[int]:
    for token in tokens:
        yield offset
        offset += len(token["token"])


def _join(before: Json | None, more: Json | None) -> Json | None:
    if before is None or more is None:
        return before or more
    return {key: [*before[key], *more[key]] for key in before}


def _build_head(told: Json) -> Json:
    identity = str(told.get("id", "")).rpartition("-")[2]
    created = told.get("created", int(time.time()))
    return {"id": f"cmpl-{identity}", "object": "text_completion", "created": created, "model": told.get("model", "")}


def _add_up(counted: list[Any], each: int) -> Json:
    """A prompt that `each` of several choices goes on from counts once."""
    total = {key: sum(int(usage.get(key, 0)) for usage in counted) for key in COUNTS}
    total["prompt_tokens"] //= each
    total["total_tokens"] = total["prompt_tokens"] + total["completion_tokens"]
    return total
