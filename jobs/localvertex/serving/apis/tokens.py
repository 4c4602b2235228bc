"""How many tokens a request has for the model that would answer it, and which."""

import base64
from typing import Any

from jobs.localvertex.api.errors import invalid
from jobs.localvertex.api.wire import Json, with_whole_numbers
from jobs.localvertex.serving import bucket_images
from jobs.localvertex.serving.apis.contents import build_chat_body
from jobs.localvertex.serving.chat import check_tools
from jobs.localvertex.serving.pool import Serving
from jobs.localvertex.serving.predict import CHAT_FORM, FORMAT_KEY
from jobs.localvertex.serving.prompts.lengths import check_length
from jobs.localvertex.serving.targets import Target
from jobs.localvertex.serving.upstream import COUNT_PATH, TOKENS_PATH, ask
from jobs.localvertex.storage.buckets import Buckets

MOST_INSTANCES = 1000
CHAT_FIELDS = ("messages", "tools")


class Tokens:
    def __init__(self, serving: Serving, buckets: Buckets) -> None:
        self._serving = serving
        self._buckets = buckets

    def count_contents(self, target: Target, request: Json) -> Json:
        """With the chat template, as the model is going to see them. `request` is one for `generateContent`."""
        return self._count_chat(target, build_chat_body(request, target.name))

    def count_instances(self, target: Target, instances: list[Any]) -> Json:
        """Of requests for `:predict`: a plain prompt, or a chat with its template."""
        counted = [self._count_instance(target, index, one) for index, one in enumerate(_check(instances))]
        return {key: sum(one[key] for one in counted) for key in ("tokens", "characters")}

    def list_contents(self, target: Target, contents: list[Json]) -> list[Json]:
        """Of the texts alone, without the chat template."""
        if not contents:
            raise invalid("Unable to submit request because at least one contents field is required.", "contents")
        return [
            {"role": content.get("role", "user"), **self._tokens(target, _text_of(index, content))}
            for index, content in enumerate(contents)
        ]

    def list_instances(self, target: Target, instances: list[Any]) -> list[Json]:
        texts = [_prompt_of(index, one) for index, one in enumerate(_check(instances))]
        return [{"role": "user", **self._tokens(target, text)} for text in texts]

    def _count_instance(self, target: Target, index: int, instance: Any) -> Json:
        if isinstance(instance, dict) and (instance.get(FORMAT_KEY) == CHAT_FORM or "messages" in instance):
            return self._count_chat(target, {key: instance[key] for key in CHAT_FIELDS if key in instance})
        text = _prompt_of(index, instance)
        found = self._ask_tokens(target, text, add_special=True)
        return {"tokens": len(found), "characters": _billable(text)}

    def _count_chat(self, target: Target, body: Json) -> Json:
        asked = bucket_images.upstream_body(self._buckets, body, images=target.plan.mmproj is not None)
        if asked.get("tools"):
            check_tools(target.plan)
        check_length(asked, target.plan.context)
        asked = {key: asked[key] for key in CHAT_FIELDS if key in asked}
        found = ask(self._serving, target.plan.name, COUNT_PATH, asked)
        return {"tokens": int(found["input_tokens"]), "characters": _characters(asked["messages"])}

    def _tokens(self, target: Target, text: str) -> Json:
        found = self._ask_tokens(target, text, add_special=False)
        pieces = [base64.b64encode(_bytes_of(one["piece"])).decode() for one in found]
        return {"tokens": pieces, "tokenIds": [one["id"] for one in found]}

    def _ask_tokens(self, target: Target, text: str, *, add_special: bool) -> list[Json]:
        check_length({"prompt": text}, target.plan.context)
        asked = {"content": text, "add_special": add_special, "with_pieces": True}
        found: list[Json] = ask(self._serving, target.plan.name, TOKENS_PATH, asked)["tokens"]
        return found


def _check(instances: list[Any]) -> list[Any]:
    if not 1 <= len(instances) <= MOST_INSTANCES:
        raise invalid(f"instances must be a list of 1 to {MOST_INSTANCES:,} values.", "instances")
    return [with_whole_numbers(one) for one in instances]


def _prompt_of(index: int, instance: Any) -> str:
    """As for `:predict`, or with the field name that Google's own text models had."""
    where = f"instances[{index}]"
    given = instance.get("prompt", instance.get("content")) if isinstance(instance, dict) else instance
    if not isinstance(given, str) or not given:
        raise invalid(f"{where}.prompt must be a text that isn't empty.", where)
    return given


def _text_of(index: int, content: Json) -> str:
    texts = [part.get("text", "") for part in content.get("parts", [])]
    if not any(texts) or not all(texts):
        where = f"contents[{index}].parts"
        raise invalid("Tokens are listed for texts only: each part must have a text.", where)
    return "".join(texts)


def _bytes_of(piece: Any) -> bytes:
    """llama.cpp writes a piece that is no whole character as a list of numbers."""
    return piece.encode() if isinstance(piece, str) else bytes(piece)


def _characters(messages: list[Json]) -> int:
    texts = [part["text"] for message in messages for part in _parts_of(message) if part["type"] == "text"]
    return sum(_billable(text) for text in texts)


def _parts_of(message: Json) -> list[Json]:
    content = message.get("content") or ""
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _billable(text: str) -> int:
    """Characters but for white space, which Google does not charge."""
    return sum(not sign.isspace() for sign in text)
