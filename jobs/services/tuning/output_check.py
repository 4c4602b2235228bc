"""Looks whether a folder of Cloud Storage can take a job's output, while its draft is being written. Best effort.

The web asks, the worker looks and writes what it found into the draft. A question that is lost stays unanswered, and
the page says that it does not know; before the job is sent the folder is looked at again in any case.
"""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import transaction

from jobs import live
from jobs.models import TuningDraft
from jobs.services.storage import policies
from jobs.vertex import get_gateway
from jobs.vertex.errors import VertexError

PATIENCE = timedelta(seconds=20)
FRESH = timedelta(minutes=1)


def why_not_write(key: UUID, uri: str) -> str:
    """What Cloud Storage said last about this folder, while the draft `key` was written; nothing where it can take the
    output, and where nobody asked."""
    draft = TuningDraft.objects.filter(pk=key).only("output_check").first()
    known: dict[str, Any] = draft.output_check if draft else {}
    return str(known.get("problem", "")) if known.get("uri") == uri.rstrip("/") else ""


def ask(draft: TuningDraft, uri: str, now: datetime) -> bool:
    """True when the worker is to be told: not while an answer for this folder is under way, or a good one still fresh.
    A bad one holds until another comes. Raises NotAllowedNow for a folder that this person's jobs may not write to:
    nothing is found out about that."""
    policies.check_can_claim(draft.owner, uri, draft.pk)
    known = draft.output_check if draft.output_check.get("uri") == uri else {}
    if known and now - datetime.fromisoformat(known["asked_at"]) < _keeps(known):
        return False
    kept = {"problem": known["problem"]} if known.get("problem") else {}
    _write(draft, {"uri": uri, "asked_at": now.isoformat(), **kept})
    return True


def _keeps(known: dict[str, Any]) -> timedelta:
    if not known.get("checked_at"):
        return PATIENCE
    return timedelta(0) if known.get("problem") or "unknown" in known else FRESH


def run(draft_id: UUID, now: datetime) -> None:
    """Two reads at most; what changed in the meantime wins over the answer."""
    draft = TuningDraft.objects.filter(pk=draft_id, submitted_at__isnull=True).first()
    if draft is None or not draft.output_check.get("uri") or draft.output_check.get("checked_at"):
        return
    uri = draft.output_check["uri"]
    reason = policies.why_not_claim(draft.owner, uri, draft.pk)
    answer = {"problem": reason, "is_empty": None} if reason else look(uri)
    found = {"checked_at": now.isoformat(), **answer}
    with transaction.atomic():
        row = TuningDraft.objects.select_for_update().get(pk=draft_id)
        if row.output_check.get("uri") == uri:
            _write(row, {"uri": uri, "asked_at": row.output_check["asked_at"], **found})
    live.notify(draft.owner_id, f"draft-{draft_id}")


def look(uri: str) -> dict[str, Any]:
    storage = get_gateway().storage
    try:
        if problem := storage.problem_with_output(uri):
            return {"problem": problem, "is_empty": None}
        return {"problem": "", "is_empty": storage.is_empty(uri)}
    except VertexError as error:
        return {"unknown": str(error)}


def _write(draft: TuningDraft, check: dict[str, Any]) -> None:
    """Without touching the time of the person's last edit."""
    TuningDraft.objects.filter(pk=draft.pk).update(output_check=check)
    draft.output_check = check
