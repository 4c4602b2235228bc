"""What a chat request may hold, checked here because llama.cpp answers much of it with nonsense instead of an error."""

import base64
import io
from collections.abc import Callable
from typing import Any

from PIL import Image

from jobs.localvertex.api.errors import ApiError, invalid
from jobs.localvertex.api.images import ImageError, data_of, open_image
from jobs.localvertex.api.wire import Json
from jobs.localvertex.serving.prompts import tools

MAX_IMAGES = 16
DEFAULT_MAX_TOKENS = 1024
Check = Callable[[Any], bool]


def _number(low: float, high: float) -> Check:
    return lambda v: isinstance(v, int | float) and not isinstance(v, bool) and low <= v <= high


def _whole(low: int, high: int) -> Check:
    return lambda v: isinstance(v, int) and not isinstance(v, bool) and low <= v <= high


def _stops(value: Any) -> bool:
    stops = value if isinstance(value, list) else [value]
    return len(stops) <= 16 and all(isinstance(stop, str) and stop for stop in stops)


def _biases(value: Any) -> bool:
    number = _number(-100, 100)
    return (
        isinstance(value, dict)
        and len(value) <= 300
        and all(key.isascii() and key.isdecimal() and len(key) < 10 and number(bias) for key, bias in value.items())
    )


# field → (check, what to say)
FIELDS: dict[str, tuple[Check, str]] = {
    "max_tokens": (_whole(1, 131072), "a whole number from 1 to 131072"),
    "max_completion_tokens": (_whole(1, 131072), "a whole number from 1 to 131072"),
    "temperature": (_number(0, 2), "a number between 0 and 2"),
    "top_p": (lambda v: _number(0, 1)(v) and v > 0, "a number greater than 0 and at most 1"),
    "top_k": (_whole(-1, 1_000_000), "a whole number of at least 1 (or -1 for all)"),
    "min_p": (_number(0, 1), "a number between 0 and 1"),
    "presence_penalty": (_number(-2, 2), "a number between -2 and 2"),
    "frequency_penalty": (_number(-2, 2), "a number between -2 and 2"),
    "repetition_penalty": (lambda v: _number(0, 2)(v) and v > 0, "a number greater than 0 and at most 2"),
    "seed": (_whole(-(2**63), 2**63 - 1), "a whole number"),
    "n": (_whole(1, 4), "a whole number between 1 and 4"),
    "stop": (_stops, "a text, or a list of at most 16 texts, none of them empty"),
    "logprobs": (lambda v: isinstance(v, bool), "true or false"),
    "top_logprobs": (_whole(0, 20), "a whole number between 0 and 20"),
    "stream": (lambda v: isinstance(v, bool), "true or false"),
    "stream_options": (lambda v: isinstance(v, dict), "an object"),
    "response_format": (lambda v: isinstance(v, dict), "an object"),
    "logit_bias": (_biases, "an object of at most 300 token ids, each with a number between -100 and 100"),
    "add_generation_prompt": (lambda v: isinstance(v, bool), "true or false"),
    "continue_final_message": (lambda v: isinstance(v, bool), "true or false"),
    "tools": (tools.are_tools, "a list of functions, each with a name"),
}
RENAMED = {"repetition_penalty": "repeat_penalty", "max_completion_tokens": "max_tokens"}
OURS = ("stream", "stream_options", "tools", "response_format", "add_generation_prompt", "continue_final_message")
FORMATS = ("text", "json_object", "json_schema")
STREAMED: Json = {"stream": True, "stream_options": {"include_usage": True}}


def upstream_body(body: object, *, images: bool) -> Json:
    """The request for llama.cpp: only fields known to be safe, always streamed. Raises INVALID_ARGUMENT."""
    if not isinstance(body, dict):
        raise invalid("The request body must be a JSON object.")
    known, last = check_fields(body), "assistant" if _goes_on(body) else "user"
    offered = {"tools": body["tools"]} if body.get("tools") else {}
    return {**known, **offered, "messages": _messages(body.get("messages"), last=last, images=images), **STREAMED}


def _goes_on(body: Json) -> bool:
    """The words of vLLM. llama.cpp continues a last message of the assistant by itself."""
    goes_on, opens_turn = body.get("continue_final_message") or False, body.get("add_generation_prompt")
    if goes_on and opens_turn is not False:
        raise invalid("continue_final_message needs add_generation_prompt to be false.", "continue_final_message")
    if opens_turn is False and not goes_on:
        raise invalid("add_generation_prompt: false needs continue_final_message to be true.", "add_generation_prompt")
    return bool(goes_on)


def completion_body(body: Json) -> Json:
    """The same for a plain prompt. `raw_response` and whatever else the caller reads is not forwarded."""
    prompt = body.get("prompt")
    if not isinstance(prompt, str) or not prompt.strip():
        raise invalid("prompt must be a text that isn't empty.", "prompt")
    if "multi_modal_data" in body:
        raise invalid("multi_modal_data is not supported: send the image in the chat-completions form.", "prompt")
    known = check_fields(body)
    if known.pop("logprobs", None) or known.pop("top_logprobs", None) or known.pop("n", 1) != 1:
        raise invalid("logprobs and n belong to the chat-completions form.", "prompt")
    return {**known, "prompt": prompt, **STREAMED}


def check_fields(body: Json) -> Json:
    """Those that set how an answer is made, by the names that llama.cpp has for them. Raises INVALID_ARGUMENT."""
    given = {key: value for key, value in body.items() if value is not None}
    for key, (check, wanted) in FIELDS.items():
        if key in given and not check(given[key]):
            raise invalid(f"{key} must be {wanted}.", key)
    known = {RENAMED.get(key, key): given[key] for key in FIELDS if key in given and key not in OURS}
    if not isinstance(given.get("stream_options", {}).get("include_usage", False), bool):
        raise invalid("stream_options.include_usage must be true or false.", "stream_options.include_usage")
    return {"max_tokens": DEFAULT_MAX_TOKENS, **known, **_probabilities(given), **_format(given)}


def _probabilities(given: Json) -> Json:
    """llama.cpp tells no probability at all when it isn't asked for the most probable token."""
    if not given.get("logprobs"):
        if given.get("top_logprobs"):
            raise invalid("top_logprobs needs logprobs to be true.", "top_logprobs")
        return {}
    return {"top_logprobs": max(1, given.get("top_logprobs", 0))}


def _format(given: Json) -> Json:
    """Only the schema of `json_schema` is used: the model is held to it strictly, whatever `strict` says."""
    if "response_format" not in given:
        return {}
    wanted = given["response_format"]
    kind = wanted.get("type")
    if kind not in FORMATS:
        raise invalid(f"response_format.type must be one of {', '.join(FORMATS)}.", "response_format.type")
    if kind != "json_schema":
        return {"response_format": {"type": kind}}
    inner = wanted.get("json_schema")
    schema = inner.get("schema") if isinstance(inner, dict) else None
    if not isinstance(schema, dict):
        field = "response_format.json_schema.schema"
        raise invalid(f"{field} must be a JSON schema, which is an object.", field)
    return {"response_format": {"type": kind, "json_schema": {"schema": schema}}}


def _messages(messages: object, *, last: str, images: bool) -> list[Json]:
    if not isinstance(messages, list) or not messages:
        raise invalid("messages must be a list with at least one message.", "messages")
    checked = [_message(index, message, images=images) for index, message in enumerate(messages)]
    turns = checked[1:] if checked[0]["role"] == "system" else checked
    for index, turn in enumerate(turns):
        before = turns[index - 1] if index else {"role": "assistant"}
        expected = "user" if before["role"] == "assistant" else "assistant"
        if not tools.follows(turn, before) and turn["role"] != expected:
            where = f"messages[{index + len(checked) - len(turns)}]"
            raise invalid(
                f"{where}.role is {turn['role']!r} where {expected!r} was expected: after an optional system message,"
                " user and assistant take turns, and the user begins.",
                f"{where}.role",
            )
    if not turns or turns[-1]["role"] not in ((last, "tool") if last == "user" else (last,)):
        raise invalid(f"The last message must be the {last}'s.", "messages")
    if sum(_images(turn) for turn in turns) > MAX_IMAGES:
        raise invalid(f"At most {MAX_IMAGES} images are allowed in a conversation.", "messages")
    return checked


def _message(index: int, message: object, *, images: bool) -> Json:
    where = f"messages[{index}]"
    if not isinstance(message, dict):
        raise invalid(f"{where} must be an object with role and content.", where)
    role = "system" if message.get("role") == "developer" else message.get("role")
    if role not in ("system", "user", "assistant", "tool"):
        raise invalid(f"{where}.role must be system, user, assistant or tool, not {role!r}.", f"{where}.role")
    content = message.get("content")
    if role == "tool" or message.get("tool_calls"):
        return tools.message(where, message)
    if isinstance(content, str):
        if not content.strip():
            raise invalid(f"{where}.content is empty.", f"{where}.content")
        return {"role": role, "content": content}
    if not isinstance(content, list) or not content:
        raise invalid(f"{where}.content must be a text or a list of parts.", f"{where}.content")
    parts = [_part(f"{where}.content[{n}]", part, role, images=images) for n, part in enumerate(content)]
    if all(part["type"] == "text" for part in parts):
        return {"role": role, "content": "\n".join(part["text"] for part in parts)}
    return {"role": role, "content": parts}


def _part(where: str, part: object, role: str, *, images: bool) -> Json:
    if not isinstance(part, dict):
        raise invalid(f"{where} must be an object with a type.", where)
    if part.get("type") == "text" and isinstance(part.get("text"), str) and part["text"].strip():
        return {"type": "text", "text": part["text"]}
    if part.get("type") == "image_url" and isinstance(part.get("image_url"), dict):
        if not images:
            raise invalid("This model reads text only. Take the image out, or use a model that reads images.", where)
        if role != "user":
            raise invalid(f"{where}: only the user's messages may hold images.", where)
        return {"type": "image_url", "image_url": {"url": _image(where, part["image_url"].get("url"))}}
    raise invalid(f"{where} must be a text part that isn't empty, or an image_url part.", where)


def _image(where: str, url: object) -> str:
    """The same, or as PNG: llama.cpp cannot read WebP."""
    try:
        image = open_image(data_of(url))
        return str(url) if image.format != "WEBP" else _as_png(image)
    except ImageError as error:
        raise invalid(f"{where}.image_url.url {error}.", where) from None


def _as_png(image: Image.Image) -> str:
    png = io.BytesIO()
    try:
        image.convert("RGB").save(png, "PNG", compress_level=1)
    except (OSError, ValueError):
        raise ImageError("is broken and cannot be decoded") from None
    return "data:image/png;base64," + base64.b64encode(png.getvalue()).decode()


def _images(turn: Json) -> int:
    content = turn.get("content") or ""
    return 0 if isinstance(content, str) else sum(part["type"] == "image_url" for part in content)


def refusal(code: int, body: Json) -> ApiError:
    """llama.cpp's refusal in our words."""
    error = body.get("error") if isinstance(body.get("error"), dict) else {}
    assert isinstance(error, dict)
    text = str(error.get("message", ""))
    if error.get("type") == "exceed_context_size_error":
        size, limit = error.get("n_prompt_tokens"), error.get("n_ctx")
        return invalid(
            f"The conversation has {size} tokens; this model takes {limit}. Shorten it or start a new one.", "messages"
        )
    if "Failed to load image" in text:
        return invalid("An image of the conversation cannot be decoded.", "messages")
    if "schema" in text or "grammar" in text:
        return invalid(f"response_format cannot be used: {text[:300]}", "response_format")
    if code == 400:
        return invalid(f"The model server refused the request: {text[:300]}")
    return ApiError("INTERNAL", f"The model server answered {code}: {text[:300]}")
