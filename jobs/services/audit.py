"""The audit log: who did what to which object, from where, and how it ended. Rows are added and never changed.

An entry is written in the transaction of the change that it tells of, so neither is there without the other; a full
disk refuses both. A message of a chat is the exception: its entry comes right after, so that no answer waits for it.
The entry is the last thing that a transaction does: on PostgreSQL the lock that orders the entries is held from there
until the commit. What no service notes is noted by `console.web.audit` right after the request.

Each row holds an HMAC of itself and of the row before, made with a key that is not in the database. `verify` finds the
first row that was changed, put in or taken out. Rows cut off at the end are found by whoever noted the last number and
hash elsewhere.
"""

import hashlib
import hmac
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC
from functools import cache
from typing import Any, NamedTuple

from django.conf import settings
from django.contrib.auth.models import User
from django.db import connection, models, transaction

from jobs.models import (
    AuditEntry,
    AuditOutcome,
    Comparison,
    Conversation,
    Dataset,
    DeployedModel,
    Endpoint,
    Message,
    ModelImport,
    Notification,
    Picture,
    ShareLink,
    Sweep,
    TuningDraft,
    TuningJob,
)
from jobs.origin import current

SYSTEM = "system"
LOCK = 4_711_030
CHUNK = 1000
Facts = Mapping[str, str | int | bool | None]
SEALED = (
    "number", "created_at", "user_id", "actor", "action", "object_kind", "object_id", "object_name", "outcome",
    "reason", "address", "request_id", "facts",
)  # fmt: skip

FIELDS = AuditEntry._meta.concrete_fields
TABLE = AuditEntry._meta.db_table
LAST = f"SELECT number, hash FROM {TABLE} ORDER BY number DESC LIMIT 1"  # noqa: S608  # names of our own
INSERT = f"INSERT INTO {TABLE} ({{}}) VALUES ({{}})".format(  # noqa: S608
    ", ".join(str(field.column) for field in FIELDS), ", ".join(["%s"] * len(FIELDS))
)

_covered: ContextVar[bool] = ContextVar("audit_covered", default=False)


@dataclass(frozen=True)
class Subject:
    """What an entry is about. `owner_id`: whose it is; None when that is nobody or not known."""

    kind: str
    id: str = ""
    name: str = ""
    owner_id: int | None = None


class Break(NamedTuple):
    """The first entry that is not as it was written."""

    number: int
    why: str


# The attribute that names a thing. What a person wrote into a chat, its title too, is no business of the log.
KINDS: Mapping[str, tuple[type[models.Model], str]] = {
    "tuning_job": (TuningJob, "display_name"),
    "tuning_draft": (TuningDraft, ""),
    "tuning_sweep": (Sweep, "display_name"),
    "endpoint": (Endpoint, "display_name"),
    "deployed_model": (DeployedModel, "display_name"),
    "dataset": (Dataset, "name"),
    "chat": (Conversation, ""),
    "chat_message": (Message, ""),
    "chat_image": (Picture, ""),
    "chat_link": (ShareLink, ""),
    "comparison": (Comparison, ""),
    "notification": (Notification, ""),
    "model_import": (ModelImport, "source"),
}


def subject_of(thing: models.Model) -> Subject:
    kind = next(kind for kind, (model, _name) in KINDS.items() if isinstance(thing, model))
    name = getattr(thing, KINDS[kind][1]) if KINDS[kind][1] else ""
    return Subject(kind, str(thing.pk), name, getattr(thing, "owner_id", None))


def account(user: Any) -> Subject:
    return Subject("account", str(user.pk), user.get_username(), user.pk)


def account_named(name: str) -> Subject:
    """Also of an account that does not exist."""
    user = User.objects.filter(username=name.replace("\x00", "")).only("pk", "username").first()
    return account(user) if user else Subject("account", "", name)


def find(kind: str, pk: str, user: Any) -> Subject:
    """By its id; without a name unless it is this person's, and when it is gone."""
    model, name = KINDS.get(kind, (None, ""))
    if user is None or model is None or not name:
        return Subject(kind, pk)
    found = model._default_manager.filter(pk=pk, owner=user).values_list(name, flat=True).first()
    return Subject(kind, pk, found or "")


def still_there(kind: str, ids: Collection[str], user: User) -> set[Any]:
    """Which of them exist and are this person's."""
    model, _name = KINDS[kind]
    return set(model._default_manager.filter(pk__in=ids, owner=user).values_list("pk", flat=True))


def record(
    action: str,
    about: models.Model | Subject | None = None,
    *,
    outcome: str = AuditOutcome.OK,
    reason: str = "",
    actor: Any = None,
    facts: Facts | None = None,
) -> None:
    """`actor` None: who sent the request, and the console itself where there is none. Facts are few, and no secrets.

    Under half a millisecond and two statements; raises what the database raises, so that the change is undone with it.
    """
    if _covered.get():
        return
    about = subject_of(about) if isinstance(about, models.Model) else about or Subject("")
    origin = current()
    user_id, name = _who(actor, about)
    entry = AuditEntry(
        user_id=user_id, actor=name, action=action, object_kind=about.kind, object_id=_text(about.id, 64),
        object_name=_text(about.name, 200), outcome=outcome, reason=_text(reason, 60),
        address=_text(origin.address, 64) if origin else "", request_id=origin.request_id if origin else "",
        facts=dict(facts or {}),
    )  # fmt: skip
    append(entry)
    if origin:
        origin.entries += 1


@contextmanager
def fold() -> Iterator[None]:
    """What is done within is one action, which the caller records."""
    token = _covered.set(True)
    try:
        yield
    finally:
        _covered.reset(token)


def append(entry: AuditEntry) -> None:
    """Numbers, seals and writes it. One at a time: SQLite has one writer, and PostgreSQL waits for the lock.

    In SQL, because every change pays for it: through the ORM it takes three times as long.
    """
    with transaction.atomic(savepoint=False), connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
        cursor.execute(LAST)
        number, previous = cursor.fetchone() or (0, "")
        entry.number = number + 1
        entry.hash = seal(entry, previous, settings.SECRET_KEY)
        cursor.execute(INSERT, [field.get_db_prep_save(getattr(entry, field.attname), connection) for field in FIELDS])


def seal(entry: AuditEntry, previous: str, secret: str) -> str:
    values = {name: getattr(entry, name) for name in SEALED}
    values["created_at"] = entry.created_at.astimezone(UTC).isoformat()
    text = json.dumps([previous, str(entry.pk), values], sort_keys=True, separators=(",", ":"))
    return hmac.new(_key(secret), text.encode(), hashlib.sha256).hexdigest()


@cache
def _key(secret: str) -> bytes:
    return hashlib.sha256(b"console.web.audit-log:" + secret.encode()).digest()


def head() -> tuple[int, str]:
    """Number and hash of the last entry: noted elsewhere, they show later that none was cut off."""
    return AuditEntry.objects.order_by("-number").values_list("number", "hash").first() or (0, "")


def verify(noted: tuple[int, str] | None = None, secrets: Sequence[str] = ()) -> Break | None:
    """Reads all entries in bounded memory. `noted`: an earlier `head`; `secrets`: earlier keys of the console."""
    keys = [settings.SECRET_KEY, *secrets]
    expected, previous, kept = 1, "", ""
    for entry in AuditEntry.objects.order_by("number").iterator(chunk_size=CHUNK):
        if entry.number != expected:
            return Break(expected, "missing")
        if not any(hmac.compare_digest(entry.hash, seal(entry, previous, key)) for key in keys):
            return Break(entry.number, "changed")
        expected, previous = expected + 1, entry.hash
        kept = entry.hash if noted and entry.number == noted[0] else kept
    if noted and noted[0] and kept != noted[1]:
        return Break(min(noted[0], expected), "changed" if kept else "missing")
    return None


def _who(actor: Any, about: Subject) -> tuple[int | None, str]:
    origin = current()
    user = actor if actor is not None else origin.user() if origin else None
    if user is not None and user.pk is not None:
        return user.pk, _text(user.get_username(), 150)
    return about.owner_id, "" if origin else SYSTEM


def _text(text: object, most: int) -> str:
    """PostgreSQL keeps no NUL, and no half of a surrogate pair can be written at all."""
    return str(text).replace("\x00", "").encode("utf-8", "replace").decode()[:most]
