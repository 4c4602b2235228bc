"""What chat/completions answers, read sparingly: the text, why it ended, what it cost, or why there is none."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from jobs.text.deferred import gettext as _
from jobs.vertex.errors import COLD, NO_TOOLS, NotAuthorised, NotFound, OverQuota, Refused, Unavailable, VertexError
from jobs.vertex.sdk.outside_text import clean, read_status
from jobs.vertex.values import ChatChunk

MAX_ANSWER = 4 * 1024 * 1024
MAX_BODY = 64 * 1024
MAX_MESSAGE = 300
MAX_REASON = 40
MAX_CALLS, MAX_NAME = 32, 64
DONE = "[DONE]"

_TOO_LONG = re.compile(
    r"context (length|size|window)|too (long|many tokens)|exceeds the (available|maximum)|has \d+ tokens;",
    re.IGNORECASE,
)
_QUOTA = re.compile(r"\bquotas?\b", re.IGNORECASE)
_COLD = re.compile(r"\bnot (yet )?ready\b|\b(starting|loading)\b|\bfrom zero\b", re.IGNORECASE)
# Of the local server, and of vLLM without --enable-auto-tool-choice.
_NO_TOOLS = re.compile(r"chat template of this model knows no tools|tool choice requires", re.IGNORECASE)
_IMAGE = re.compile(r"\bimages?\b|image_url|multi-?modal|mmproj|vision", re.IGNORECASE)


def chunks(data: Iterable[str]) -> Iterator[ChatChunk]:
    size, finished = 0, False
    for text in data:
        if text.strip() == DONE:
            return
        chunk = _chunk(_object(text))
        size += len(chunk.text.encode()) + sum(len(part["arguments"].encode()) for part in chunk.tool_calls)
        if size > MAX_ANSWER:
            raise Unavailable(_("The answer is longer than 4 MB and was cut off."), "UNKNOWN")
        finished = finished or bool(chunk.finish_reason)
        if chunk != ChatChunk():
            yield chunk
    if not finished:
        raise Unavailable(_("The connection to the endpoint ended before the answer was complete."), "UNAVAILABLE")


def refusal(code: int, body: bytes, retry_after: str = "") -> VertexError:
    """For an HTTP status other than 200."""
    try:
        error = _error(json.loads(body))
    except (ValueError, RecursionError):
        error = {}
    return _as_error({"code": code} | {key: error[key] for key in ("status", "message") if key in error}, retry_after)


def _object(text: str) -> Mapping[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise Unavailable(_("The endpoint sent an invalid response."), "UNKNOWN") from None
    error = _error(found)
    if error:
        raise _as_error(error)
    return found if isinstance(found, dict) else {}


def _error(found: Any) -> Mapping[str, Any]:
    """Google's envelope, alone or in an array; an error of any other form counts as its message."""
    if isinstance(found, list):
        found = next((item for item in found if isinstance(item, dict)), {})
    error = found.get("error") if isinstance(found, dict) else None
    return error if isinstance(error, dict) else {"message": str(error)} if error else {}


def _chunk(found: Mapping[str, Any]) -> ChatChunk:
    choices = found.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], dict) else {}
    delta = choice.get("delta")
    text = delta.get("content") if isinstance(delta, dict) else ""
    reason = choice.get("finish_reason")
    return ChatChunk(
        text=_storable(text) if isinstance(text, str) else "",
        finish_reason=_storable(reason)[:MAX_REASON] if isinstance(reason, str) else "",
        usage=_usage(found.get("usage")),
        tool_calls=_tool_calls(delta.get("tool_calls")) if isinstance(delta, dict) else (),
    )


def _tool_calls(found: Any) -> tuple[Mapping[str, Any], ...]:
    parts = [part for part in found if isinstance(part, dict)] if isinstance(found, list) else []
    return tuple(_call_part(number, part) for number, part in enumerate(parts[:MAX_CALLS]))


def _call_part(number: int, part: Mapping[str, Any]) -> Mapping[str, Any]:
    """Whoever sends whole calls at once need not number them."""
    told = part.get("function")
    function = told if isinstance(told, dict) else {}
    index = part.get("index", number)
    return {
        "index": index if isinstance(index, int) and 0 <= index < MAX_CALLS else number,
        "id": _text(part.get("id"))[:MAX_NAME],
        "name": _text(function.get("name"))[:MAX_NAME],
        "arguments": _text(function.get("arguments")),
    }


def _text(value: Any) -> str:
    """Some servers send the arguments as an object."""
    if isinstance(value, dict):
        value = json.dumps(value, ensure_ascii=False)
    return _storable(value) if isinstance(value, str) else ""


def _storable(text: str) -> str:
    """JSON may carry a NUL or half a surrogate pair; no database takes the one, no encoding the other."""
    return text.replace("\x00", "").encode("utf-8", "replace").decode()


def _usage(found: Any) -> Mapping[str, int] | None:
    if not isinstance(found, dict):
        return None
    counts = {key: found.get(key) for key in ("prompt_tokens", "completion_tokens")}
    return {key: count for key, count in counts.items() if isinstance(count, int)} or None


def _as_error(error: Mapping[str, Any], retry_after: str = "") -> VertexError:
    code = error.get("code") if isinstance(error.get("code"), int) else 0
    status = read_status(error.get("status"))
    message = clean(str(error.get("message") or ""))[:MAX_MESSAGE]
    if (code == 429 or status == "RESOURCE_EXHAUSTED") and _QUOTA.search(message):
        return OverQuota(_("A project quota is used up. Wait, or request more quota. (%s)") % message, "QUOTA")
    if (code in (429, 503) or status in ("RESOURCE_EXHAUSTED", "UNAVAILABLE")) and _COLD.search(message):
        words = _("The model was asleep and is starting. Try again in a minute or two.")
        return Unavailable(words, COLD, int(retry_after[:4]) if retry_after.isdecimal() else 0)
    if code == 429 or status == "RESOURCE_EXHAUSTED":
        wait = _(" It asks you to wait %s seconds.") % retry_after if retry_after.isdigit() else ""
        return OverQuota(_("The endpoint is overloaded. Try again in a moment.") + wait, "RESOURCE_EXHAUSTED")
    if code == 404 or status == "NOT_FOUND":
        return NotFound(_("The endpoint no longer exists. Deploy the model again. (%s)") % message, "NOT_FOUND")
    if code in (401, 403):
        return NotAuthorised(
            _("Vertex AI does not allow this console to use the endpoint. (%s)") % message,
            status or "PERMISSION_DENIED",
        )
    if code == 503 or status == "UNAVAILABLE":
        return Unavailable(_("The endpoint cannot answer now. Try again in a minute. (%s)") % message, "UNAVAILABLE")
    if code and 400 <= code < 500 and code != 408:
        return _refusal(code, status or "INVALID_ARGUMENT", message)
    return Unavailable(_("The endpoint failed: %s") % (message or code or _("no reason given")), status or "INTERNAL")


def _refusal(code: int, status: str, message: str) -> Refused:
    if code == 413:
        return Refused(_("The message is too large for the endpoint. Remove or shrink the images."), "NO_IMAGES")
    if _TOO_LONG.search(message):
        sentence = _("The conversation exceeds this model's context window. Start a new one, or shorten the message.")
        return Refused(sentence, "CONTEXT_LENGTH")
    if _IMAGE.search(message):
        return Refused(
            _("This model doesn't accept images. Send the message without them. (%s)") % message, "NO_IMAGES"
        )
    if _NO_TOOLS.search(message):
        sentence = _("This model can't call tools. Remove them in the settings of the chat, or use another model.")
        return Refused(sentence, NO_TOOLS)
    return Refused(_("The endpoint refused the message: %s") % message, status)
