"""A request for `generateContent` as one for chat completions. Refusals have the words of Google's own models."""

import json
from collections.abc import Iterable
from itertools import groupby
from typing import Any

from google.cloud.aiplatform_v1beta1.types import GenerateContentRequest

from jobs.localvertex.api.errors import invalid
from jobs.localvertex.api.wire import Json, parse, render, with_whole_numbers
from jobs.localvertex.serving.apis.schemas import to_json_schema

ROLES = {"": "user", "user": "user", "model": "assistant", "function": "user"}
# field of generationConfig → (field of chat completions, least, most)
NUMBERS: dict[str, tuple[str, float, float]] = {
    "temperature": ("temperature", 0, 2),
    "topP": ("top_p", 0, 1),
    "topK": ("top_k", 1, 1_000_000),
    "candidateCount": ("n", 1, 4),
    "maxOutputTokens": ("max_tokens", 1, 131_072),
    "presencePenalty": ("presence_penalty", -2, 2),
    "frequencyPenalty": ("frequency_penalty", -2, 2),
    "logprobs": ("top_logprobs", 0, 20),
    "seed": ("seed", -(2**31), 2**31 - 1),
}
TYPES = ("text/plain", "application/json")
TEXT_ONLY = ["TEXT"]
KNOWN_CONFIG = {*NUMBERS, "stopSequences", "responseLogprobs", "responseMimeType", "responseSchema"}
KNOWN_CONFIG |= {"responseJsonSchema", "responseModalities"}
REFUSED = ("cachedContent", "modelArmorConfig")
NEVER_CALLED = "NONE"


def build_chat_body(body: object, model: str) -> Json:
    """Raises INVALID_ARGUMENT. What is safe to say no open model is told: `safetySettings` and `labels` do nothing."""
    request = parse(GenerateContentRequest, {**body, "model": model} if isinstance(body, dict) else body)
    asked = with_whole_numbers(render(request))
    for field in REFUSED:
        if field in asked:
            raise invalid(f"{field} is not supported by this model. Leave it out and try again.", field)
    messages = _read_system(asked) + build_messages(asked.get("contents", []))
    if messages[-1]["role"] == "assistant":
        raise invalid("Please ensure that multiturn requests end with a user role or a function response.", "contents")
    return {"messages": messages, **_convert_config(asked.get("generationConfig", {})), **_convert_tools(asked)}


def build_messages(contents: list[Json]) -> list[Json]:
    """Contents of one role that follow each other are one turn."""
    if not contents:
        raise invalid("Unable to submit request because at least one contents field is required.", "contents")
    turns = [(_read_role(one), one.get("parts", [])) for one in contents]
    for number, (_, parts) in enumerate(turns):
        if not parts:
            message = "Unable to submit request because it must include at least one parts field"
            raise invalid(f"{message}, which describes the prompt input.", f"contents[{number}].parts")
    found: list[Json] = []
    for role, group in groupby(turns, key=lambda turn: turn[0]):
        found += _convert_turn(role, [part for _, parts in group for part in parts])
    return found


def _read_role(content: Json) -> str:
    role = ROLES.get(content.get("role", ""))
    if role is None:
        raise invalid("Please use a valid role: user, model.", "contents")
    return role


def _read_system(asked: Json) -> list[Json]:
    texts = [part.get("text", "") for part in asked.get("systemInstruction", {}).get("parts", [])]
    if any(not text for text in texts):
        message = "Unable to submit request because the system instruction must have text parts only."
        raise invalid(message, "system_instruction")
    return [{"role": "system", "content": "\n".join(texts)}] if texts else []


def _convert_turn(role: str, parts: list[Json]) -> Iterable[Json]:
    """One message, and one for each answer of a function."""
    calls = [part["functionCall"] for part in parts if "functionCall" in part]
    results = [part["functionResponse"] for part in parts if "functionResponse" in part]
    said = [_convert_part(part) for part in parts if not {"functionCall", "functionResponse"} & set(part)]
    for result in results:
        name = result.get("name", "")
        text = json.dumps(result.get("response", {}), ensure_ascii=False, sort_keys=True)
        yield {"role": "tool", "tool_call_id": result.get("id") or name, "name": name, "content": text}
    if calls and role == "assistant":
        text = "".join(part.get("text", "") for part in said)
        yield {"role": role, "content": text, "tool_calls": [_convert_call(call) for call in calls]}
    elif calls:
        raise invalid("Please ensure that function call turns come from the model role.", "contents")
    elif said:
        yield {"role": role, "content": said}


def _convert_part(part: Json) -> Json:
    if part.get("text"):
        return {"type": "text", "text": part["text"]}
    for field, place in (("inlineData", "data"), ("fileData", "fileUri")):
        if field in part:
            return _convert_image(
                part[field].get("mimeType", ""), part[field].get(place, ""), is_inline=field == "inlineData"
            )
    message = "Unable to submit request because it must have a text parameter. Add a text parameter and try again."
    raise invalid(message, "contents")


def _convert_image(kind: str, data: str, *, is_inline: bool) -> Json:
    if not kind.startswith("image/"):
        raise invalid(
            f"Unable to submit request because it has a mimeType parameter with value {kind}, which is not supported."
            " Update the mimeType and try again.",
            "contents",
        )
    return {"type": "image_url", "image_url": {"url": f"data:{kind};base64,{data}" if is_inline else data}}


def _convert_call(call: Json) -> Json:
    arguments = json.dumps(call.get("args", {}), ensure_ascii=False, sort_keys=True)
    name = call.get("name", "")
    return {"id": call.get("id") or name, "type": "function", "function": {"name": name, "arguments": arguments}}


def _convert_config(config: Json) -> Json:
    for name in sorted(set(config) - KNOWN_CONFIG):
        message = f"Unable to submit request because {name} isn't supported by this model. Remove it and try again."
        raise invalid(message, f"generation_config.{name}")
    if config.get("responseModalities", TEXT_ONLY) != TEXT_ONLY:
        raise invalid("This model only supports text output.", "generation_config.response_modalities")
    found = {
        theirs: _check_number(name, config[name], low, high)
        for name, (theirs, low, high) in NUMBERS.items()
        if name in config
    }
    if config.get("stopSequences"):
        found["stop"] = config["stopSequences"]
    if config.get("responseLogprobs"):
        found["logprobs"] = True
    return {**found, **_convert_format(config)}


def _check_number(name: str, value: Any, low: float, high: float) -> Any:
    if not low <= value <= high or (name == "topP" and not value):
        least = f"{low} ({'exclusive' if name == 'topP' else 'inclusive'})"
        raise invalid(
            f"Unable to submit request because it has a {name} value of {value} but the supported range is from {least}"
            f" to {high} (inclusive). Update the value and try again.",
            f"generation_config.{name}",
        )
    return int(value) if name == "topK" else value


def _convert_format(config: Json) -> Json:
    kind = config.get("responseMimeType", TYPES[0])
    if kind not in TYPES:
        message = f"Unable to submit request because responseMimeType {kind} isn't supported. Use {' or '.join(TYPES)}."
        raise invalid(message, "generation_config.response_mime_type")
    schema = config.get("responseJsonSchema") or _find_schema(config)
    if kind == TYPES[0]:
        if schema:
            message = "responseSchema needs responseMimeType to be application/json."
            raise invalid(message, "generation_config.response_schema")
        return {}
    if not schema:
        return {"response_format": {"type": "json_object"}}
    return {"response_format": {"type": "json_schema", "json_schema": {"schema": schema}}}


def _find_schema(config: Json) -> Json | None:
    return to_json_schema(config["responseSchema"]) if "responseSchema" in config else None


def _convert_tools(asked: Json) -> Json:
    declared = []
    for tool in asked.get("tools", []):
        for kind in sorted(set(tool) - {"functionDeclarations"}):
            raise invalid(f"Unable to submit request because {kind} is not supported by this model.", "tools")
        declared += tool.get("functionDeclarations", [])
    mode = asked.get("toolConfig", {}).get("functionCallingConfig", {}).get("mode", "AUTO")
    if mode not in ("AUTO", NEVER_CALLED):
        message = f"Unable to submit request because the function calling mode {mode} is not supported by this model."
        raise invalid(message, "tool_config.function_calling_config.mode")
    return {"tools": [_convert_function(one) for one in declared]} if declared and mode != NEVER_CALLED else {}


def _convert_function(declared: Json) -> Json:
    function = {"name": declared.get("name", ""), "description": declared.get("description", "")}
    if "parametersJsonSchema" in declared:
        function["parameters"] = declared["parametersJsonSchema"]
    elif "parameters" in declared:
        function["parameters"] = to_json_schema(declared["parameters"])
    return {"type": "function", "function": function}
