"""Tells a person that long work has ended: once for each end, in the transaction that ends it."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone

from jobs import live
from jobs.models import (
    Dataset,
    Delivery,
    DeployedModel,
    Endpoint,
    LeaseKind,
    ModelImport,
    ModelImportState,
    Notification,
    NotificationChoice,
    NotificationKind,
    NotificationSubject,
    NotificationWay,
    TuningJob,
)
from jobs.states import TUNING_TERMINAL, DeployedState, EndpointState, Phase, TuningState

KEPT = timedelta(days=90)
TOPIC = "notifications"
K = NotificationKind
TUNING_KINDS = {
    TuningState.SUCCEEDED: K.TUNING_SUCCEEDED,
    TuningState.PARTIALLY_SUCCEEDED: K.TUNING_SUCCEEDED,
    TuningState.FAILED: K.TUNING_FAILED,
    TuningState.EXPIRED: K.TUNING_FAILED,
    TuningState.CANCELLED: K.TUNING_CANCELLED,
}
ENDPOINT_KINDS = {
    EndpointState.READY: K.ENDPOINT_READY,
    EndpointState.FAILED: K.ENDPOINT_FAILED,
    EndpointState.UNDEPLOYED: K.ENDPOINT_UNDEPLOYED,
    EndpointState.DELETED: K.ENDPOINT_DELETED,
}
MODEL_KINDS = {
    DeployedState.READY: K.MODEL_READY,
    DeployedState.FAILED: K.MODEL_FAILED,
    DeployedState.UNDEPLOYED: K.MODEL_UNDEPLOYED,
}
IMPORT_KINDS = {
    ModelImportState.READY: K.IMPORT_SUCCEEDED,
    ModelImportState.FAILED: K.IMPORT_FAILED,
    ModelImportState.PAUSED: K.IMPORT_FAILED,
}
Row = TuningJob | Endpoint | DeployedModel


@dataclass(frozen=True)
class End:
    """`name` tells it apart from other ends of the same thing."""

    kind: str
    name: str
    facts: Mapping[str, Any] = field(default_factory=dict)


def note(row: Row, changed: Collection[str], *, was: Row, reason: str = "") -> None:
    """`row` as it is now and `was`, with the names of what changed. Within the transaction that changes it."""
    _note(row, _end(row, changed, was, reason), known=False)


def note_closed(row: Row) -> None:
    """Ended at the very click of its owner, who knows it therefore already."""
    _note(row, _end(row, ["state"], row, ""), known=True)


def _note(row: Row, end: End | None, *, known: bool) -> None:
    if end is None:
        return
    named = replace(end, facts={"name": row.display_name, **end.facts})
    if isinstance(row, TuningJob):
        tell(row.owner_id, NotificationSubject.TUNING_JOB, row.pk, named, known=known)
    else:
        endpoint_id = row.endpoint_id if isinstance(row, DeployedModel) else row.pk
        tell(row.owner_id, NotificationSubject.ENDPOINT, endpoint_id, named, known=known)


def note_dataset(dataset: Dataset) -> None:
    """Made while its owner waited for the page."""
    end = End(K.DATASET_MADE, "MADE", {"name": dataset.name})
    tell(dataset.owner_id, NotificationSubject.DATASET, dataset.pk, end, known=True)


def note_import(row: ModelImport) -> None:
    """`row` as the local Vertex AI left it, which may be tried again and end again. Within the transaction that ends
    it."""
    facts = _drop_empty({"name": row.title, "state": row.state, "reason": row.error, "model": row.model})
    end = End(IMPORT_KINDS[ModelImportState(row.state)], f"{row.state}-{timezone.now():%Y-%m-%dT%H:%M:%S.%f}", facts)
    tell(row.owner_id, NotificationSubject.MODEL_IMPORT, row.pk, end)


def tell(owner_id: int, subject: str, subject_id: UUID, end: End, *, known: bool = False) -> Notification:
    """The same end again is the same notification, and nothing is sent a second time. `known`: it is read already."""
    now = timezone.now()
    values = {"kind": end.kind, "facts": dict(end.facts), "created_at": now, "read_at": now if known else None}
    with transaction.atomic():
        notification, is_new = Notification.objects.get_or_create(
            owner_id=owner_id, subject=subject, subject_id=subject_id, end=end.name, defaults=values
        )
        if is_new:
            _send_out(notification, list_ways(owner_id, end.kind))
            live.notify(owner_id, TOPIC)
    return notification


def tell_test(owner: User, way: str) -> Notification:
    """By this one way, whatever is chosen for other kinds."""
    now = timezone.now()
    with transaction.atomic():
        notification = Notification.objects.create(
            owner=owner, subject=NotificationSubject.TEST, subject_id=uuid4(), end="TEST", kind=K.TEST, read_at=now
        )
        _send_out(notification, [way])
        live.notify(owner.pk, TOPIC)
    return notification


def list_ways(owner_id: int, kind: str) -> list[str]:
    choice = NotificationChoice.objects.filter(user_id=owner_id).first()
    return [way for way in NotificationWay.values if choice and choice.wants(kind, way)]


def mark_read(notification: Notification) -> None:
    if Notification.objects.unread().filter(pk=notification.pk).update(read_at=timezone.now()):
        live.notify(notification.owner_id, TOPIC)


def mark_all_read(owner: User, until: datetime) -> int:
    """Those made until then: what comes while somebody looks at the list stays unread."""
    unread = Notification.objects.visible_to(owner).unread().filter(created_at__lte=until)
    count = unread.update(read_at=timezone.now())
    if count:
        live.notify(owner.pk, TOPIC)
    return count


def prune(now: datetime) -> None:
    Notification.objects.filter(created_at__lt=now - KEPT).delete()


def _send_out(notification: Notification, ways: Collection[str]) -> None:
    Delivery.objects.bulk_create(Delivery(notification=notification, way=way) for way in ways)


def _end(row: Row, changed: Collection[str], was: Row, reason: str) -> End | None:
    if isinstance(row, TuningJob):
        return _end_of_job(row, changed)
    if isinstance(row, DeployedModel):
        return _end_of_model(row, changed, was, reason)
    return _end_of_endpoint(row, changed)


def _end_of_job(job: TuningJob, changed: Collection[str]) -> End | None:
    if "state" in changed and job.state in TUNING_TERMINAL:
        facts = {"state": job.state, "code": job.error_code, "reason": job.error_message}
        return End(TUNING_KINDS[TuningState(job.state)], job.state, _drop_empty(facts))
    if "phase" in changed and job.phase == Phase.NEEDS_DECISION:
        return End(K.TUNING_UNDECIDED, f"{job.phase}-{job.attempt}")
    return None


def _end_of_endpoint(row: Endpoint, changed: Collection[str]) -> End | None:
    state = EndpointState(row.state)
    if "state" not in changed or state not in ENDPOINT_KINDS:
        return None
    facts = {"state": state, "code": row.error_code, "reason": row.error_message, **_cause(row)}
    return End(ENDPOINT_KINDS[state], state, _drop_empty(facts))


def _end_of_model(row: DeployedModel, changed: Collection[str], was: Any, reason: str) -> End | None:
    """One that comes or goes together with its endpoint is no end of its own."""
    state = row.endpoint.state
    if "state" in changed:
        kind = MODEL_KINDS.get(DeployedState(row.state))
        is_own = state == EndpointState.READY or kind != K.MODEL_UNDEPLOYED and not row.comes_with_endpoint
        if kind is None or not is_own:
            return None
        facts = {"state": row.state, "code": row.error_code, "reason": row.error_message}
        return End(kind, f"{row.state}-{row.pk}", {"endpoint": row.endpoint.display_name, **_drop_empty(facts)})
    if "replicas_asked_at" in changed and row.replicas_asked_at is None and state == EndpointState.READY:
        return _end_of_scaling(row, was, reason)
    return None


def _end_of_scaling(row: DeployedModel, was: Any, reason: str) -> End:
    low, high = row.min_replicas, row.max_replicas
    replicas = str(low) if low == high else f"{low}–{high}"
    facts = {"state": EndpointState.FAILED if reason else "", "reason": reason, "replicas": replicas}
    named = {"name": row.endpoint.display_name, **_drop_empty(facts)}
    return End(K.ENDPOINT_SCALED, f"scaled-{was.replicas_asked_at or was.updated_at}", named)


def _cause(row: Endpoint) -> dict[str, Any]:
    """Why it serves no more, unless its owner asked for it."""
    if row.state not in (EndpointState.UNDEPLOYED, EndpointState.DELETED):
        return {}
    if row.wanted == EndpointState.READY:
        return {"cause": "outside"}
    if row.state == EndpointState.UNDEPLOYED and row.lease_ended_at:
        return {"cause": "idle" if row.lease_kind == LeaseKind.IDLE else "lease", "hours": row.lease_hours}
    return {}


def _drop_empty(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {name: str(value) if name == "state" else value for name, value in facts.items() if value}
