"""Answers of chat completions as those of `generateContent`."""

import json
import secrets
from typing import Any

from jobs.localvertex.api.wire import Json, now

REASONS = {"stop": "STOP", "length": "MAX_TOKENS", "tool_calls": "STOP"}


class Answers:
    """Of one request: all of its parts have an id and a time."""

    def __init__(self, model: str) -> None:
        self._head: Json = {
            "modelVersion": model,
            "createTime": now().isoformat().replace("+00:00", "Z"),
            "responseId": secrets.token_urlsafe(16),
        }

    def whole(self, reply: Json) -> Json:
        candidates = [_build_candidate(choice, choice["message"]) for choice in reply["choices"]]
        return {"candidates": candidates, "usageMetadata": build_usage(reply.get("usage") or {}), **self._head}

    def part(self, choice: Json, usage: Json | None) -> Json:
        """`choice` has the text since the last part, or whole calls. The last part has the usage."""
        found = {"candidates": [_build_candidate(choice, choice["message"])], **self._head}
        return found if usage is None else {**found, "usageMetadata": build_usage(usage)}


def build_usage(usage: Json) -> Json:
    prompt, answer = usage.get("prompt_tokens", 0), usage.get("completion_tokens", 0)
    return {
        "promptTokenCount": prompt,
        "candidatesTokenCount": answer,
        "totalTokenCount": prompt + answer,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": prompt}],
        "candidatesTokensDetails": [{"modality": "TEXT", "tokenCount": answer}],
    }


def _build_candidate(choice: Json, message: Json) -> Json:
    parts: list[Json] = [{"text": message["content"]}] if message.get("content") else []
    parts += [_build_call(call["function"]) for call in message.get("tool_calls", [])]
    found: Json = {"content": {"role": "model", "parts": parts}}
    if choice.get("index"):
        found["index"] = choice["index"]
    if reason := choice.get("finish_reason"):
        found["finishReason"] = REASONS.get(reason, "OTHER")
    tokens = (choice.get("logprobs") or {}).get("content") or []
    return {**found, **_convert_logprobs(tokens)} if tokens else found


def _build_call(function: Json) -> Json:
    """Arguments that are no JSON are shown as they came."""
    try:
        arguments = json.loads(function["arguments"] or "{}")
    except ValueError:
        arguments = None
    if not isinstance(arguments, dict):
        arguments = {"arguments": function["arguments"]}
    return {"functionCall": {"name": function["name"], "args": arguments}}


def _convert_logprobs(tokens: list[Json]) -> Json:
    top = [{"candidates": [_convert_token(one) for one in token.get("top_logprobs") or []]} for token in tokens]
    result: Json = {"chosenCandidates": [_convert_token(token) for token in tokens]}
    if any(one["candidates"] for one in top):
        result["topCandidates"] = top
    return {"avgLogprobs": sum(token["logprob"] for token in tokens) / len(tokens), "logprobsResult": result}


def _convert_token(token: Json) -> dict[str, Any]:
    found = {"token": token["token"], "logProbability": token["logprob"]}
    return {**found, "tokenId": token["id"]} if "id" in token else found
