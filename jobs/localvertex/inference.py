"""Calls that a model answers: their paths, and who makes the answer."""

import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from starlette.requests import Request
from starlette.responses import Response

from jobs.localvertex.api.bodies import content_of, parse_body
from jobs.localvertex.api.errors import ApiError, precondition
from jobs.localvertex.resources.call import Parts
from jobs.localvertex.serving.apis.completions import Completions
from jobs.localvertex.serving.apis.generate import Generate
from jobs.localvertex.serving.chat import Chat
from jobs.localvertex.serving.predict import Predict
from jobs.localvertex.serving.streaming import Streamed
from jobs.localvertex.serving.targets import OPENAPI, Target

Answer: TypeAlias = Callable[[Request, Target, Any], Awaitable[Response]]

# what stands after the name of an endpoint or a model → Google's name of the call, else ours
METHODS = {
    "/chat/completions": "chat_completions",
    "/completions": "completions",
    ":predict": "predict",
    ":rawPredict": "raw_predict",
    ":streamRawPredict": "stream_raw_predict",
    ":serverStreamingPredict": "server_streaming_predict",
    ":generateContent": "generate_content",
    ":streamGenerateContent": "stream_generate_content",
}
TYPED = {
    "predict",
    "generate_content",
    "stream_generate_content",
}  # whose bodies are Google's messages, not the model server's
_LOCATION = r"projects/[^/:]+/locations/[^/:]+"
_PATTERN = re.compile(
    rf"^/(?:v1|v1beta1)/(?P<name>{_LOCATION}/(?:endpoints/[^/:]+|publishers/[^/:]+/models/[^/:]+))"
    r"(?P<invoked>(?:/deployedModels/(?P<deployed>[^/:]+))?/invoke/v1)?(?P<call>(?:/chat)?/completions|:\w+)$"
)


@dataclass(frozen=True)
class Asked:
    name: str
    method: str
    deployed: str = ""

    @property
    def is_small(self) -> bool:
        """Whether the model server answers by itself: who reads its streams takes each line as a whole."""
        return self.method not in TYPED

    @property
    def is_openapi(self) -> bool:
        return self.name.endswith(f"/endpoints/{OPENAPI}") and self.method in ("chat_completions", "completions")


def match(path: str) -> Asked | None:
    found = _PATTERN.match(path)
    if found is None or found["call"] not in METHODS:
        return None
    is_path = found["call"].startswith("/")
    if (found["invoked"] and not is_path) or (is_path and "/publishers/" in found["name"]):
        return None
    return Asked(found["name"], METHODS[found["call"]], found["deployed"] or "")


class Inference:
    def __init__(self, parts: Parts) -> None:
        self._targets = parts.targets
        self._counter = parts.answers
        chat = Chat(parts.serving, parts.buckets)
        predict, generate = Predict(chat), Generate(chat)
        self._answers: dict[str, Answer] = {
            "chat_completions": chat.complete,
            "completions": Completions(chat).complete,
            "predict": predict.predict,
            "raw_predict": predict.raw,
            "stream_raw_predict": predict.stream_raw,
            "server_streaming_predict": _refuse_tensors,
            "generate_content": generate.whole,
            "stream_generate_content": generate.stream,
        }

    async def answer(self, request: Request, asked: Asked) -> Response:
        """Counts it by its endpoint: what is refused at once, and what is sent when it has been sent."""
        began, deployed = time.monotonic(), ""

        def count(code: int) -> None:
            self._counter.count(asked.name, deployed, code, time.monotonic() - began)

        try:
            content = await content_of(request)
            body = parse_body(content, leniently=asked.method in TYPED)
            target = self._find(asked, request.headers.get("host", ""), len(content), body)
            deployed = target.deployed.id if target.deployed else ""
            response = await self._answers[asked.method](request, target, _ease(body) if asked.is_small else body)
        except ApiError as error:
            if error.status != "NOT_FOUND" and _is_of_an_endpoint(asked):
                count(error.http_code)
            raise
        if deployed:
            response.headers["X-Vertex-AI-Endpoint-Id"] = asked.name.rpartition("/")[2]
            response.headers["X-Vertex-AI-Deployed-Model-Id"] = deployed
            if isinstance(response, Streamed):
                response.at_end(lambda: count(response.status_code))
            else:
                count(response.status_code)
        return response

    def _find(self, asked: Asked, host: str, size: int, body: object) -> Target:
        if asked.is_openapi:
            return self._targets.of_body(asked.name, body)
        return self._targets.find(asked.name, host, size, deployed=asked.deployed)


def _is_of_an_endpoint(asked: Asked) -> bool:
    return not asked.is_openapi and "/endpoints/" in asked.name


def _ease(body: object) -> object:
    """The flag in quotes, as the SDK's own example of `Endpoint.invoke` sends it, and vLLM takes it."""
    flags = {"true": True, "false": False}
    if isinstance(body, dict) and isinstance(body.get("stream"), str):
        return {**body, "stream": flags.get(body["stream"].lower(), body["stream"])}
    return body


async def _refuse_tensors(_request: Request, _target: Target, _body: object) -> Response:
    raise precondition("The model server takes no tensors. Stream by chat/completions or :streamRawPredict.")
