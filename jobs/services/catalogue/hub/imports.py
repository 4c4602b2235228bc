"""Imports of models. The row is the queue: the web asks, a worker tells the local Vertex AI, and asks it how far it is.

What comes of one is a model of the catalogue; nothing of one that failed is.
"""

import logging
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone

from jobs import live
from jobs.errors import NotAllowedNow
from jobs.models import ModelImport, ModelImportState as State, Notification, NotificationSubject
from jobs.services import audit
from jobs.services.catalogue import policies
from jobs.services.notifications import notifications
from jobs.text.deferred import gettext as _
from jobs.vertex import get_gateway
from jobs.vertex.errors import NotFound, VertexError
from jobs.vertex.hub import ImportSpec, RemoteImport

from . import removal
from .sealing import seal, unseal
from .steps import take_step

logger = logging.getLogger(__name__)
LEASE, BETWEEN, AFTER_TROUBLE = timedelta(minutes=3), timedelta(seconds=1), timedelta(seconds=10)
KEPT = timedelta(days=7)
MOST = 20
CATALOGUE_CHANGES = ((State.WAITING, State.READY), (State.REMOVING, State.REMOVED))
ENDED = (State.READY, State.CANCELLED, State.REMOVED)


def begin(owner: User, source: str, *, revision: str = "", token: str = "") -> ModelImport:
    """Nothing is downloaded before `download`."""
    policies.check_can_import(owner)
    with transaction.atomic():
        User.objects.select_for_update().get(pk=owner.pk)
        going = ModelImport.objects.filter(owner=owner).exclude(state__in=[*ENDED, State.FAILED])
        if going.count() >= MOST:
            raise NotAllowedNow(_("%d imports are under way. Finish or cancel one of them first.") % MOST)
        row = ModelImport.objects.create(owner=owner, source=source, revision=revision, token=seal(token))
        audit.record("model.import", row)
    return row


def download(row: ModelImport, file: str = "") -> None:
    """`file`: one of the GGUF files that were found, where there are several."""
    policies.check_can_import(row.owner)
    if file and file not in [one.get("name") for one in row.choices]:
        raise NotAllowedNow(_("Choose one of the files on the page."))
    if why := policies.why_no_room(row, file):
        raise NotAllowedNow(why)
    take_step(row, "download", file=file or row.facts.get("file", ""), is_told=False, error="")


def pause(row: ModelImport) -> None:
    policies.check_can_import(row.owner)
    take_step(row, "pause", is_told=False)


def resume(row: ModelImport, token: str = "") -> None:
    """Also what failed: the files that came stay. What failed before anything was found is looked at again."""
    policies.check_can_import(row.owner)
    changed: dict[str, Any] = {"error": "", "stage": "", **({"token": seal(token)} if token else {})}
    if not row.facts:
        take_step(row, "look", **changed)
    else:
        take_step(row, "resume", is_told=False, **changed)


def cancel(row: ModelImport) -> None:
    policies.check_can_import(row.owner)
    take_step(row, "cancel", is_told=False, token="", error="")  # noqa: S106  # it is taken out


def due(now: datetime) -> list[UUID]:
    return list(ModelImport.objects.due(now).values_list("pk", flat=True)[:20])


def prune(now: datetime) -> None:
    """What nobody went on with is cancelled first, so that nothing of it stays on the disk. The page of one that has
    ended stays while a notification leads to it."""
    left = ModelImport.objects.filter(created_at__lt=now - KEPT, state__in=[State.FOUND, State.FAILED])
    left.update(state=State.CANCELLED, is_told=False, token="", lease_until=None)
    old = ModelImport.objects.filter(created_at__lt=now - notifications.KEPT, state__in=ENDED, is_told=True)
    told = Notification.objects.filter(subject=NotificationSubject.MODEL_IMPORT, subject_id=OuterRef("pk"))
    old.exclude(Exists(told)).delete()


def advance(pk: UUID, now: datetime) -> bool:
    """One question or order to the local Vertex AI. True when a model has come or gone, of which the
    catalogue doesn't know yet."""
    if not ModelImport.objects.due(now).filter(pk=pk).update(lease_until=now + LEASE):
        return False
    row = ModelImport.objects.get(pk=pk)
    try:
        changed = _advance(row)
    except VertexError as error:
        logger.warning("The import %s waits or fails: %s", pk, error)
        changed = _after_trouble(row, error)
    with transaction.atomic():
        # What a person asked for meanwhile is a later step's.
        is_there = ModelImport.objects.filter(pk=pk, state=row.state, is_told=row.is_told).update(**changed)
        if not is_there:
            ModelImport.objects.filter(pk=pk).update(lease_until=None)
        elif row.state == State.WAITING and changed.get("state"):
            notifications.note_import(ModelImport.objects.get(pk=pk))
    live.notify(row.owner_id, f"model-import-{pk}")
    return bool(is_there) and (row.state, changed.get("state")) in CATALOGUE_CHANGES


def _advance(row: ModelImport) -> dict[str, Any]:
    imports, id = get_gateway().imports, str(row.pk)
    if row.state == State.LOOKING:
        found = imports.inspect(_spec(row))
        return {"state": State.FOUND, "facts": dict(found), "total_bytes": found["size"], "error": "",
                "lease_until": None}  # fmt: skip
    if row.state == State.WAITING:
        return _follow(row, _find_or_start(row))
    if row.state == State.REMOVING:
        return removal.carry_out(row)
    if row.state == State.PAUSED:
        with suppress(NotFound):
            imports.pause(id)
    else:
        imports.cancel(id)
    return {"is_told": True, "lease_until": None}


def _find_or_start(row: ModelImport) -> RemoteImport:
    """What a restart of the local Vertex AI cut off is started again: it has forgotten the token."""
    imports, id = get_gateway().imports, str(row.pk)
    if row.is_told:
        try:
            found = imports.get(id)
        except NotFound:
            found = None
        if found is not None and found.state != "INTERRUPTED":
            return found
    return imports.start(id, _spec(row))


def _follow(row: ModelImport, found: RemoteImport) -> dict[str, Any]:
    told = {"stage": found.stage[:16], "done_bytes": found.done, "is_told": True}
    told |= {"total_bytes": found.total or row.total_bytes}
    if found.state == "DONE":
        return told | {"state": State.READY, "model": found.model[:200], "token": "", "lease_until": None}
    if found.state in ("PAUSED", "FAILED"):
        gone = {"token": ""} if found.state == "FAILED" else {}
        return told | gone | {"state": State(found.state), "error": found.message, "lease_until": None}
    return told | {"lease_until": timezone.now() + BETWEEN}


def _after_trouble(row: ModelImport, error: VertexError) -> dict[str, Any]:
    """A first look can be repeated by a click; an order is repeated until it is taken."""
    if row.state == State.REMOVING and not error.retryable:
        return {"state": State.READY, "error": str(error), "lease_until": None}
    if row.state == State.LOOKING or (row.state == State.WAITING and not error.retryable):
        return {"state": State.FAILED, "error": str(error), "lease_until": None, "token": "", "is_told": True}
    return {"lease_until": timezone.now() + AFTER_TROUBLE}


def _spec(row: ModelImport) -> ImportSpec:
    return ImportSpec(row.source, row.revision, row.file, unseal(row.token))
