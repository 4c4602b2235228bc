"""What can never fit is refused before a tokenizer takes seconds to say so."""

import re
from typing import Any

from jobs.localvertex.api.errors import invalid
from jobs.localvertex.api.wire import Json

LONGEST_TOKEN = 64  # characters, but for lines of one sign that is neither letter nor digit
_LINES = re.compile(r"([\W_])\1{15,}")


def check_length(body: Json, limit: int) -> None:
    """Raises INVALID_ARGUMENT when the texts of `body` have more than `limit` tokens, whatever the vocabulary."""
    texts = [body["prompt"]] if "prompt" in body else [text for turn in body["messages"] for text in _texts(turn)]
    if sum(map(len, texts)) <= limit * LONGEST_TOKEN:
        return
    least = sum(len(_LINES.sub("", text)) for text in texts) // LONGEST_TOKEN
    if least > limit:
        sizes = f"The conversation is too long: more than {least} tokens, and this model takes {limit}."
        raise invalid(f"{sizes} Shorten it or start a new one.", "prompt" if "prompt" in body else "messages")


def _texts(turn: Any) -> list[str]:
    content = turn.get("content") or ""
    return [content] if isinstance(content, str) else [part["text"] for part in content if "text" in part]
