"""The row of an answer that was just made, which its message takes along: then the worker need not read it."""

from collections.abc import Mapping
from typing import Any, TypeVar

from django.db import DEFAULT_DB_ALIAS, models

from jobs.models import Conversation, Endpoint, Message

Row = TypeVar("Row", bound=models.Model)
Rows = Mapping[str, Mapping[str, Any]]

# Of each row, a quarter of its columns; "" is the answer's own.
COLUMNS: dict[str, tuple[str, ...]] = {
    "": ("id", "conversation_id", "endpoint_id", "parent_id", "content", "parameters", "usage", "timings"),
    "conversation": ("id", "owner_id", "system_instruction", "sent_from_id"),
    "parent": ("id", "conversation_id", "parent_id", "role", "state", "content", "has_pictures"),
    "endpoint": (
        "id", "state", "resource_name", "dedicated_dns", "machine_type", "base_model", "publisher_model",
        "shared_address", "display_name", "traffic",
    ),
}  # fmt: skip
_NEEDED = [f"{row}__{column}" if row else column for row, columns in COLUMNS.items() for column in columns]
_MODELS: dict[str, type[models.Model]] = {"conversation": Conversation, "parent": Message, "endpoint": Endpoint}


def read(message_id: Any) -> Message:
    return Message.objects.select_related(*_MODELS).only(*_NEEDED).get(pk=message_id)


def packed(message: Message) -> dict[str, Any]:
    """Nothing is read for it, if the answer comes from the service that made it."""
    rows = {"": message} | {name: row for name in _MODELS if (row := getattr(message, name))}
    return {name: {column: getattr(row, column) for column in COLUMNS[name]} for name, row in rows.items()}


def unpacked(rows: Rows) -> Message:
    """As `read` has it."""
    message = _made(Message, rows[""])
    for name, model in _MODELS.items():
        setattr(message, name, _made(model, rows[name]) if name in rows else None)
    return message


def _made(model: type[Row], columns: Mapping[str, Any]) -> Row:
    names = [field.attname for field in model._meta.concrete_fields if field.attname in columns]
    return model.from_db(DEFAULT_DB_ALIAS, names, [columns[name] for name in names])
