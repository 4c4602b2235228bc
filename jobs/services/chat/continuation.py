"""How an answer that was cut off is continued: its text is sent along as the beginning of the model's own turn."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from jobs.vertex.values import ChatRequest

# As vLLM wants to be told; llama.cpp continues a last message of the assistant anyway.
PREFILL = {"add_generation_prompt": False, "continue_final_message": True}
# The timings of an answer that begins with what a person wrote: its request is the first one.
NOTHING_ASKED = {"requests": 0}
REQUEST = "Continue exactly where you stopped. Repeat nothing."


def prefill(request: ChatRequest, begun: str) -> ChatRequest:
    return _with(request, [{"role": "assistant", "content": begun}], PREFILL)


def ask_to_continue(request: ChatRequest, begun: str) -> ChatRequest:
    """For a server that begins no turn with a given text."""
    return _with(request, [{"role": "assistant", "content": begun}, {"role": "user", "content": REQUEST}], {})


def _with(request: ChatRequest, turns: Sequence[Mapping[str, Any]], parameters: Mapping[str, Any]) -> ChatRequest:
    messages, fields = [*request.messages, *turns], {**request.parameters, **parameters}
    return replace(request, messages=messages, parameters=fields)


def is_first_request(content: str, timings: Mapping[str, float]) -> bool:
    """So that its figures are those of the answer, whatever text that began with."""
    return not content or timings.get("requests") == 0


def sum_usage(before: Mapping[str, int], now: Mapping[str, int]) -> dict[str, int]:
    """Tokens of all the requests. A request that was not counted leaves none: half a sum would pass for the whole."""
    return {name: before[name] + now[name] for name in now if name in before}


def sum_timings(before: Mapping[str, float], now: Mapping[str, float]) -> dict[str, float]:
    """`requests` of them, the first token of the first one."""
    first = before.get("first_token", now.get("first_token"))
    timings = {"total": round(before.get("total", 0) + now["total"], 3), "requests": before.get("requests", 1) + 1}
    return timings if first is None else {**timings, "first_token": first}
