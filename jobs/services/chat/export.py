"""A conversation as a file: Markdown to read, JSON to keep, JSON Lines to train on."""

import base64
import json
from collections.abc import Iterator
from typing import Any
from uuid import UUID

from django.utils import timezone

from jobs.files import store
from jobs.models import Conversation, Message, Picture, Rating, Role, with_images
from jobs.services.datasets.file import LONGEST_LINE
from jobs.text.deferred import gettext as _

from .streaming.answer import KEPT
from .tools import calls
from .tree import Tree, turns

SCHEMA_VERSION = 1
LARGEST = 20_000_000
ANSWER_FIELDS = (
    "state",
    "parameters",
    "usage",
    "timings",
    "finish_reason",
    "error_message",
    "answered_by",
    "is_edited",
    "rating",
)


def list_turns(conversation: Conversation, leaf: UUID | None = None) -> list[Message]:
    return turns(conversation, Tree(conversation), leaf or conversation.head_id)


def markdown(conversation: Conversation) -> str:
    """The branch shown. What a person or a model wrote is left as it is, headings and all."""
    parts = [f"# {conversation.title or _('Untitled chat')}"]
    if conversation.system_instruction:
        parts.append(f"## {_('System instructions')}\n\n{conversation.system_instruction}")
    for turn in list_turns(conversation):
        who = turn.answered_by or _("Model") if turn.role == Role.ASSISTANT else _("You")
        who = _("%s (edited)") % who if turn.is_edited else who
        parts.append(f"## {who}\n\n{format_turn(turn)}".rstrip())
    return "\n\n".join(parts) + "\n"


def format_turn(turn: Message) -> str:
    pictures = [_("[Image: %s]") % (picture.alt or picture.name) for picture in turn.attachments]
    notes = [f"> {turn.error_message}"] if turn.error_message else []
    called = calls.as_text(turn.tools.get("calls", []))
    blocks = [f"```\n{called}\n```"] if called else []
    return "\n\n".join([*pictures, *filter(None, [turn.content]), *blocks, *notes])


def document(conversation: Conversation, *, pictures: bool = False) -> dict[str, Any]:
    """The whole tree. `pictures`: their bytes too, as data: addresses."""
    rows = with_images(list(conversation.messages.all()))
    endpoint = conversation.endpoint
    return {
        "schema": "garden-console/conversation",
        "version": SCHEMA_VERSION,
        "exported_at": timezone.now().isoformat(timespec="seconds"),
        "id": str(conversation.pk),
        "title": conversation.title,
        "created_at": conversation.created_at.isoformat(timespec="seconds"),
        "endpoint": endpoint and {"name": endpoint.display_name, "base_model": endpoint.model.base_model},
        "system_instruction": conversation.system_instruction,
        "parameters": conversation.parameters,
        "head": str(conversation.head_id) if conversation.head_id else None,
        "messages": [_message(row, pictures) for row in rows],
    }


def _message(row: Message, pictures: bool) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "id": str(row.pk),
        "parent": str(row.parent_id) if row.parent_id else None,
        "role": row.role,
        "created_at": row.created_at.isoformat(timespec="seconds"),
        "content": row.content,
    }
    if row.tools:
        entry["tools"] = row.tools
    if row.role == Role.ASSISTANT:
        entry |= {name: getattr(row, name) for name in ANSWER_FIELDS}
    if attached := [_picture(picture, pictures) for picture in row.attachments]:
        entry["pictures"] = attached
    return entry


def _picture(picture: Picture, with_bytes: bool) -> dict[str, Any]:
    fields = ("name", "alt", "content_type", "width", "height", "size", "sha256")
    entry = {name: getattr(picture, name) for name in fields}
    if with_bytes:
        entry |= _data(picture)
    return entry


def _data(picture: Picture) -> dict[str, str | None]:
    """With the reason where there are no bytes: the rest of the chat is worth having."""
    try:
        content = store.read(picture.stored_name)
    except FileNotFoundError:
        return {"data": None, "problem": _("The file of the image %s no longer exists.") % picture.name}
    return {"data": f"data:{picture.content_type};base64,{base64.b64encode(content).decode()}"}


def training_rows(conversation: Conversation, *, only_good: bool = False) -> Iterator[dict[str, Any]]:
    """A row for each answer of the branch shown, since a row teaches its last turn, in the form `messages`.

    Questions without an answer are left out. Nothing here learns from pictures, so the rows end before the first one.
    `only_good`: only for those that were rated so; the others are still part of what was said before.
    """
    system = conversation.system_instruction.strip()
    said = [turn_of("system", system)] if system else []
    tools = conversation.parameters.get("tools")
    for question, answer in pairs(list_turns(conversation)):
        said += calls.messages_of("user", question.content, question.tools)
        said += calls.messages_of("assistant", answer.content, answer.tools)
        if not only_good or answer.rating == Rating.GOOD:
            yield {"messages": [*said]} | ({"tools": tools} if tools else {})


def pairs(branch: list[Message]) -> Iterator[tuple[Message, Message]]:
    """Each question with the answer that it got."""
    question: Message | None = None
    for turn in branch:
        if turn.role == Role.USER:
            if turn.has_pictures:
                return
            question = turn if turn.content.strip() else None
        elif question and turn.state in KEPT and (turn.content.strip() or turn.tools):
            yield question, turn
            question = None


def turn_of(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


def json_lines(conversation: Conversation, *, only_good: bool = False, largest: int = LARGEST) -> str:
    """Each row repeats those before it: a long chat is cut where the file would become too large to upload. `largest`:
    in characters."""
    lines: list[str] = []
    size = 0
    for row in training_rows(conversation, only_good=only_good):
        line = json.dumps(row, ensure_ascii=False) + "\n"
        size += len(line)
        if size > largest or len(line.encode()) > LONGEST_LINE:
            break
        lines.append(line)
    return "".join(lines)
