"""The lease of an endpoint: when it is undeployed by itself, so that a forgotten one does not cost for ever.

A lease is fixed, or counts from the last request. Asking a question and ending a lease lock the same row: either the
question is there and the endpoint stays, or the endpoint has gone and the question is refused.
"""

from datetime import datetime, timedelta
from uuid import UUID, uuid4, uuid5

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from jobs.models import Endpoint, EventLevel, LeaseKind, Message
from jobs.models.endpoint import LONGEST_LEASE
from jobs.services import audit
from jobs.services.costs import spending
from jobs.services.remote.row_claim import record
from jobs.states import EndpointState
from jobs.text.deferred import gettext as _, ngettext

from . import endpoints, policies, spec_rules

BATCH = 50


def set_lease(endpoint: Endpoint, *, kind: str, hours: int | None) -> None:
    """Counts from now, or from when the endpoint is ready. `kind` empty: it serves until somebody undeploys it."""
    spec_rules.validate(lease_kind=kind, lease_hours=hours)
    with transaction.atomic():
        row = Endpoint.objects.select_for_update().get(pk=endpoint.pk)
        policies.check_can_set_lease(row)
        if (row.lease_kind, row.lease_hours) != (kind, hours):
            now = timezone.now()
            before = spending.end_of_count(row, now)
            row.lease_kind, row.lease_hours = kind, hours
            row.undeploy_at = endpoints.lease_end(row, now)
            _reserve(row, before, now, key=uuid4())
            _keep(row, _sentence(row))
            audit.record("endpoint.lease", row, facts={"kind": kind, "hours": hours})
    endpoint.refresh_from_db()


def extend(endpoint: Endpoint, *, seen: datetime) -> bool:
    """By the hours of the lease, at most to the longest lease from now. `seen`: the end that the person saw, so that
    a second click extends nothing more."""
    now = timezone.now()
    with transaction.atomic():
        row = Endpoint.objects.select_for_update().get(pk=endpoint.pk)
        policies.check_can_extend(row)
        assert row.undeploy_at is not None
        assert row.lease_hours is not None
        if row.undeploy_at != seen:
            return False
        before, longest = spending.end_of_count(row, now), now + timedelta(hours=LONGEST_LEASE)
        row.undeploy_at = min(max(row.undeploy_at, now) + timedelta(hours=row.lease_hours), longest)
        _reserve(row, before, now, key=uuid5(row.pk, f"extend {seen.isoformat()}"))
        hours = row.lease_hours
        _keep(
            row,
            ngettext("You extended the time limit by %d hour.", "You extended the time limit by %d hours.", hours)
            % hours,
        )
        audit.record("endpoint.extend", row, facts={"hours": hours})
    endpoint.refresh_from_db()
    return True


def _reserve(row: Endpoint, before: datetime | None, now: datetime, *, key: UUID) -> None:
    """Whatever moves the end of a lease comes through here; raises SpendingLimitReached."""
    spending.reserve(row.owner, row.pk, {key: spending.move_usd(row, before, now)})


def _keep(row: Endpoint, sentence: str) -> None:
    row.save(update_fields=["lease_kind", "lease_hours", "undeploy_at", "updated_at"])
    record(row, EventLevel.INFO, sentence)
    endpoints.notify(row)


def _sentence(row: Endpoint) -> str:
    hours = row.lease_hours or 0
    if row.lease_kind == LeaseKind.FIXED:
        words = ngettext("You set a time limit of %d hour.", "You set a time limit of %d hours.", hours)
    elif row.lease_kind == LeaseKind.IDLE:
        words = ngettext(
            "You set it to undeploy after %d hour without requests.",
            "You set it to undeploy after %d hours without requests.",
            hours,
        )
    else:
        return _("You removed the time limit.")
    return words % hours


def note_request(endpoint: Endpoint, now: datetime) -> bool:
    """Locks the endpoint by writing to it; false if it is not any more as it was read. Called for every question, so it
    writes no event and rings no bell."""
    fields: dict[str, datetime] = {"last_request_at": now}
    if endpoint.lease_kind == LeaseKind.IDLE and endpoint.undeploy_at and endpoint.lease_hours:
        fields["undeploy_at"] = max(endpoint.undeploy_at, now + timedelta(hours=endpoint.lease_hours))
    same = {name: getattr(endpoint, name) for name in ("state", "lease_kind", "lease_hours", "undeploy_at")}
    return bool(Endpoint.objects.filter(pk=endpoint.pk, **same).update(**fields))


def note_use(endpoint: Endpoint, at: datetime) -> None:
    """Somebody asked it then, by whatever program. Goes forward only; who changes the lease meanwhile goes first."""
    rows = Endpoint.objects.ready().filter(pk=endpoint.pk)
    rows.filter(Q(last_request_at=None) | Q(last_request_at__lt=at)).update(last_request_at=at)
    if endpoint.lease_kind == LeaseKind.IDLE and endpoint.lease_hours:
        until = at + timedelta(hours=endpoint.lease_hours)
        same = {"lease_kind": endpoint.lease_kind, "lease_hours": endpoint.lease_hours}
        rows.filter(undeploy_at__lt=until, **same).update(undeploy_at=until)


def why_no_time_left(endpoint: Endpoint, now: datetime) -> str:
    """Of a fixed lease, which nobody's questions make longer: an answer that is being written still ends."""
    if endpoint.lease_kind != LeaseKind.FIXED or not _is_over(endpoint, now):
        return ""
    return _("The time limit of the endpoint %(name)s has ended. To continue, extend it.") % {
        "name": endpoint.display_name
    }


def due(now: datetime) -> list[UUID]:
    over = Endpoint.objects.ready().filter(undeploy_at__lte=now, wanted=EndpointState.READY, made_here=True)
    return list(over.order_by("undeploy_at").values_list("pk", flat=True)[:BATCH])


def end(endpoint_id: UUID, now: datetime) -> bool:
    """Undeploys it if its lease is over and no answer is being written; true when it did."""
    with transaction.atomic():
        row = Endpoint.objects.select_for_update(no_key=True).filter(pk=endpoint_id).first()
        if row is None or not _is_over(row, now) or answers(row):
            return False
        record(row, EventLevel.WARNING, _reason(row))
        Endpoint.objects.filter(pk=row.pk).update(lease_ended_at=now)
        endpoints.request_undeploy(row, because="lease_over")
    return True


def answers(endpoint: Endpoint) -> int:
    """How many answers of it are being written, or wait to be."""
    return Message.objects.live().filter(endpoint=endpoint).count()


def _is_over(row: Endpoint, now: datetime) -> bool:
    serving = row.made_here and row.state == row.wanted == EndpointState.READY
    return serving and row.undeploy_at is not None and row.undeploy_at <= now


def _reason(row: Endpoint) -> str:
    hours = row.lease_hours or 0
    if row.lease_kind == LeaseKind.IDLE:
        words = ngettext(
            "Undeployed by its time limit: no requests for %d hour.",
            "Undeployed by its time limit: no requests for %d hours.",
            hours,
        )
        return words % hours
    return _("Undeployed because its time limit ended.")
