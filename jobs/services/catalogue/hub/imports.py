"""Imports of models. The row is the queue: the web asks, a worker tells the local Vertex AI, and asks it how far it is.

What comes of one is a model of the catalogue; nothing of one that failed is.
"""

import logging
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone

from jobs import live
from jobs.errors import NotAllowedNow
from jobs.models import ModelImport, ModelImportState as State
from jobs.services import audit
from jobs.services.catalogue import policies
from jobs.text.deferred import gettext as _
from jobs.vertex import get_gateway
from jobs.vertex.errors import NotFound, VertexError
from jobs.vertex.hub import ImportSpec, RemoteImport

from .sealing import seal, unseal

logger = logging.getLogger(__name__)
LEASE, BETWEEN, AFTER_TROUBLE = timedelta(minutes=3), timedelta(seconds=1), timedelta(seconds=10)
KEPT = timedelta(days=7)
MOST = 20
ENDED = (State.READY, State.CANCELLED)
# What a person may ask for, from which states, and the state that follows.
STEPS: Mapping[str, tuple[tuple[State, ...], State]] = {
    "download": ((State.FOUND,), State.WAITING),
    "pause": ((State.WAITING,), State.PAUSED),
    "resume": ((State.PAUSED, State.FAILED), State.WAITING),
    "look": ((State.FAILED,), State.LOOKING),
    "cancel": ((State.LOOKING, State.FOUND, State.WAITING, State.PAUSED, State.FAILED), State.CANCELLED),
}


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
    _step(row, "download", file=file or row.facts.get("file", ""), is_told=False, error="")


def pause(row: ModelImport) -> None:
    policies.check_can_import(row.owner)
    _step(row, "pause", is_told=False)


def resume(row: ModelImport, token: str = "") -> None:
    """Also what failed: the files that came stay. What failed before anything was found is looked at again."""
    policies.check_can_import(row.owner)
    changed: dict[str, Any] = {"error": "", "stage": "", **({"token": seal(token)} if token else {})}
    if not row.facts:
        _step(row, "look", **changed)
    else:
        _step(row, "resume", is_told=False, **changed)


def cancel(row: ModelImport) -> None:
    policies.check_can_import(row.owner)
    _step(row, "cancel", is_told=False, token="", error="")  # noqa: S106  # it is taken out


def _step(row: ModelImport, verb: str, **values: Any) -> None:
    """Raises NotAllowedNow where somebody, or the worker, was faster."""
    before, after = STEPS[verb]
    mine = ModelImport.objects.filter(pk=row.pk, state__in=before)
    if not mine.update(state=after, lease_until=None, **values):
        raise NotAllowedNow(_("The import has moved on in the meantime. Check its state on this page."))
    row.refresh_from_db()
    live.notify(row.owner_id, f"model-import-{row.pk}")


def due(now: datetime) -> list[UUID]:
    return list(ModelImport.objects.due(now).values_list("pk", flat=True)[:20])


def prune(now: datetime) -> None:
    """What nobody went on with is cancelled first, so that nothing of it stays on the disk."""
    old = ModelImport.objects.filter(created_at__lt=now - KEPT)
    left = old.filter(state__in=[State.FOUND, State.FAILED])
    left.update(state=State.CANCELLED, is_told=False, token="", lease_until=None)
    old.filter(state__in=ENDED, is_told=True).delete()


def advance(pk: UUID, now: datetime) -> bool:
    """One question or order to the local Vertex AI. True when a model has come that the catalogue doesn't have yet."""
    if not ModelImport.objects.due(now).filter(pk=pk).update(lease_until=now + LEASE):
        return False
    row = ModelImport.objects.get(pk=pk)
    try:
        changed = _advance(row)
    except VertexError as error:
        logger.warning("The import %s waits or fails: %s", pk, error)
        changed = _after_trouble(row, error)
    # What a person asked for meanwhile is a later step's.
    is_there = ModelImport.objects.filter(pk=pk, state=row.state, is_told=row.is_told).update(**changed)
    if not is_there:
        ModelImport.objects.filter(pk=pk).update(lease_until=None)
    live.notify(row.owner_id, f"model-import-{pk}")
    return bool(is_there) and changed.get("state") == State.READY


def _advance(row: ModelImport) -> dict[str, Any]:
    imports, id = get_gateway().imports, str(row.pk)
    if row.state == State.LOOKING:
        found = imports.inspect(_spec(row))
        return {"state": State.FOUND, "facts": dict(found), "total_bytes": found["size"], "error": "",
                "lease_until": None}  # fmt: skip
    if row.state == State.WAITING:
        return _follow(row, _find_or_start(row))
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
    if row.state == State.LOOKING or (row.state == State.WAITING and not error.retryable):
        return {"state": State.FAILED, "error": str(error), "lease_until": None, "token": "", "is_told": True}
    return {"lease_until": timezone.now() + AFTER_TROUBLE}


def _spec(row: ModelImport) -> ImportSpec:
    return ImportSpec(row.source, row.revision, row.file, unseal(row.token))
