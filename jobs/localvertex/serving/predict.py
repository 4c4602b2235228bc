"""`:predict`, `:rawPredict` and `:streamRawPredict`, as Google's vLLM container answers them: in the chat-completions
form and with a plain prompt."""

import json
from typing import Any

from google.cloud.aiplatform_v1beta1.types import PredictRequest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from jobs.localvertex.api.bodies import reply_of
from jobs.localvertex.api.errors import invalid
from jobs.localvertex.api.wire import Json, parse
from jobs.localvertex.serving.chat import Chat
from jobs.localvertex.serving.prompts import checks
from jobs.localvertex.serving.targets import Target

CHAT_FORM = "chatCompletions"
MAX_INSTANCES = 16
FORMAT_KEY = "@requestFormat"


class Predict:
    def __init__(self, chat: Chat) -> None:
        self._chat = chat

    async def predict(self, request: Request, target: Target, body: object) -> Response:
        parse(PredictRequest, {**body, "endpoint": target.name} if isinstance(body, dict) else body)
        assert isinstance(body, dict)
        return reply_of(request, {"predictions": await self._predictions(request, target, body), **_describe(target)})

    async def stream_raw(self, request: Request, target: Target, body: object) -> Response:
        return await self.raw(request, target, body, streaming=True)

    async def raw(self, request: Request, target: Target, body: object, *, streaming: bool = False) -> Response:
        """The body goes to the model server as it is: what it holds decides the form."""
        if not isinstance(body, dict):
            raise invalid("The request body must be a JSON object.")
        if "messages" in body:
            return await self._chat.complete(request, target, body)
        if "instances" in body:
            instances = _instances(body)
            if streaming and len(instances) == 1 and instances[0].get("stream"):
                return await self._stream(request, target, instances[0])
            return JSONResponse({"predictions": await self._predictions(request, target, body)})
        if body.get("stream"):
            return await self._chat.completion_stream(request, target, checks.completion_body(body))
        return JSONResponse({"predictions": [await self._text(request, target, body)]})

    async def _stream(self, request: Request, target: Target, instance: Json) -> Response:
        if instance.pop(FORMAT_KEY, "") == CHAT_FORM:
            return await self._chat.complete(request, target, instance)
        return await self._chat.completion_stream(request, target, checks.completion_body(instance))

    async def _predictions(self, request: Request, target: Target, body: Json) -> Any:
        instances = _instances(body)
        if any(instance.get(FORMAT_KEY) == CHAT_FORM for instance in instances):
            return await self._chat_form(request, target, instances)
        return [await self._text(request, target, instance) for instance in instances]

    async def _chat_form(self, request: Request, target: Target, instances: list[Json]) -> Json:
        if len(instances) != 1:
            raise invalid(f"With {FORMAT_KEY} {CHAT_FORM} there must be exactly one instance.", "instances")
        body = {key: value for key, value in instances[0].items() if key not in (FORMAT_KEY, "stream")}
        answer = await self._chat.complete(request, target, body)
        reply: Json = json.loads(bytes(answer.body))
        return reply

    async def _text(self, request: Request, target: Target, instance: Json) -> str:
        text = await self._chat.completion(request, target, checks.completion_body(instance))
        if instance.get("raw_response"):
            return text
        return f"Prompt:\n{instance['prompt'].strip()}\nOutput:\n{text}"


def _describe(target: Target) -> Json:
    deployed = target.deployed
    if deployed is None:
        return {}
    return {
        "deployedModelId": deployed.id,
        "model": deployed.model,
        "modelDisplayName": deployed.display_name,
        "modelVersionId": deployed.model_version_id,
    }


def _instances(body: Json) -> list[Json]:
    instances, parameters = body.get("instances"), body.get("parameters") or {}
    if not isinstance(instances, list) or not 1 <= len(instances) <= MAX_INSTANCES:
        raise invalid(f"instances must be a list of 1 to {MAX_INSTANCES} objects.", "instances")
    if not isinstance(parameters, dict):
        raise invalid("parameters must be an object.", "parameters")
    for index, instance in enumerate(instances):
        if not isinstance(instance, dict):
            raise invalid(f"instances[{index}] must be an object.", f"instances[{index}]")
    return [_with_whole_numbers({**parameters, **instance}) for instance in instances]


def _with_whole_numbers(instance: Json) -> Json:
    """Google's clients send every number of an instance as a double: 5 comes as 5.0."""
    return {k: int(v) if isinstance(v, float) and v.is_integer() else v for k, v in instance.items()}
