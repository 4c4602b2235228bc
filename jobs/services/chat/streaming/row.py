"""The row of an answer that was just made, which its message takes along: then the worker need not read it.

It is signed: whoever can write to the broker could otherwise let a worker answer with somebody else's chat.
"""

import logging
from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeVar
from uuid import UUID

from django.core.signing import BadSignature, Signer
from django.db import DEFAULT_DB_ALIAS, models
from kombu.utils import json

from jobs.models import Conversation, DeployedModel, Endpoint, Message

Row = TypeVar("Row", bound=models.Model)
Rows = Mapping[str, Mapping[str, Any]]

SALT: Final = "jobs.services.chat.streaming.row"
logger = logging.getLogger(__name__)

# Of each row, a quarter of its columns; "" is the answer's own.
COLUMNS: dict[str, tuple[str, ...]] = {
    "": ("id", "conversation_id", "endpoint_id", "parent_id", "content", "parameters", "usage", "timings"),
    "conversation": ("id", "owner_id", "system_instruction", "sent_from_id"),
    "parent": ("id", "conversation_id", "parent_id", "role", "state", "content", "has_pictures", "tools"),
    "endpoint": (
        "id", "state", "resource_name", "dedicated_dns", "shared_address", "display_name", "traffic", "main_model_id",
    ),
    "endpoint__main_model": ("id", "machine_type", "min_replicas", "base_model", "publisher_model"),
}  # fmt: skip
_NEEDED = [f"{row}__{column}" if row else column for row, columns in COLUMNS.items() for column in columns]
# What holds another comes before it.
_MODELS: dict[str, type[models.Model]] = {
    "conversation": Conversation, "parent": Message, "endpoint": Endpoint, "endpoint__main_model": DeployedModel,
}  # fmt: skip


def read(message_id: Any) -> Message:
    return Message.objects.select_related(*_MODELS).only(*_NEEDED).get(pk=message_id)


def pack(message: Message) -> str:
    """Nothing is read for it, if the answer comes from the service that made it."""
    rows = {"": message} | {name: row for name in _MODELS if (row := _reach(message, name.split("__")))}
    columns = {name: {column: getattr(row, column) for column in COLUMNS[name]} for name, row in rows.items()}
    return Signer(salt=SALT).sign(json.dumps(columns))  # type: ignore[no-untyped-call]


def unpack(message_id: UUID, sealed: str) -> Message:
    """As `read` has it; what another version did not send along, is read when it is needed. Raises BadSignature for
    what this console did not sign, or signed for another answer."""
    rows: Rows = json.loads(Signer(salt=SALT).unsign(sealed))  # type: ignore[no-untyped-call]
    own = rows.get("", {}) if isinstance(rows, dict) else {}
    if own.get("id") != message_id:
        raise BadSignature(f"These are not the rows of the answer {message_id}")
    message = _build_row(Message, own)
    for name, model in _MODELS.items():
        *path, last = name.split("__")
        if name in rows and (holder := _reach(message, path)):
            setattr(holder, last, _build_row(model, rows[name]))
    return message


def unpack_or_read(message_id: UUID, sealed: object) -> Message:
    """What was not signed here counts for nothing: the database is asked."""
    if not isinstance(sealed, str):
        return read(message_id)
    try:
        return unpack(message_id, sealed)
    except BadSignature:
        logger.warning("The message of the answer %s holds rows that this console did not sign", message_id)
        return read(message_id)


def _reach(message: Message, path: Iterable[str]) -> models.Model | None:
    row: models.Model | None = message
    for name in path:
        row = row and getattr(row, name)
    return row


def _build_row(model: type[Row], columns: Mapping[str, Any]) -> Row:
    names = [field.attname for field in model._meta.concrete_fields if field.attname in columns]
    return model.from_db(DEFAULT_DB_ALIAS, names, [columns[name] for name in names])
