"""Sends what is to leave the console. The row is the queue: claimed, tried a few times, then settled.

A delivery that arrived is never sent again. If the worker dies between the sending and the note of it, nobody knows:
it is sent again under the same id, by which the receiver can tell.

Receivers are strangers' machines and may hang. So of each person's deliveries one is sent at a time, after a time-out
the others to the same place wait as well, and no more than AT_ONCE are sent at all: other work has the other threads.
"""

import logging
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, F, Max, OuterRef, Q, QuerySet, Subquery, Window
from django.db.models.functions import RowNumber
from django.utils import translation

from jobs import live
from jobs.errors import NotAllowedNow
from jobs.models import (
    Delivery,
    DeliveryState,
    Notification,
    NotificationChoice,
    NotificationWay,
    Problem,
    preference_of,
)
from jobs.text.deferred import gettext as _

from . import mail, webhook
from .delivery_errors import NotDelivered
from .notifications import TOPIC

logger = logging.getLogger(__name__)

# Longer than any try takes, so that two never send the same thing at once.
LEASE = timedelta(minutes=5)
WAITS = [timedelta(seconds=seconds) for seconds in (15, 60, 300, 1800, 3600, 3 * 3600, 6 * 3600)]
TRIES = len(WAITS) + 1
BATCH = 100
# Of the eight threads of the one worker.
AT_ONCE = 2
slots = threading.BoundedSemaphore(AT_ONCE)
SENDERS: dict[str, Callable[[Delivery, NotificationChoice, datetime], None]] = {
    NotificationWay.EMAIL: mail.send,
    NotificationWay.WEBHOOK: webhook.send,
}


def due(now: datetime) -> list[UUID]:
    """At most one of each person. First the one with most tries: while a receiver hangs, it alone asks."""
    first = Window(RowNumber(), partition_by="notification__owner_id", order_by=["-tries", "next_try_at", "pk"])
    of_the_same = _in_flight(now).filter(notification__owner_id=OuterRef("notification__owner_id"))
    rows = Delivery.objects.due(now).exclude(Exists(of_the_same)).annotate(number=first).filter(number=1)
    return list(rows.order_by("next_try_at").values_list("pk", flat=True)[:BATCH])


def _in_flight(now: datetime) -> QuerySet[Delivery]:
    return Delivery.objects.filter(state=DeliveryState.WAITING, lease_until__gte=now)


def attempt(delivery_id: UUID, now: datetime) -> bool:
    """Does nothing for what is not due, gone, in somebody else's hands, or has to wait for others: the next sweep finds
    it. True when it was tried. Never raises for the receiver's sake."""
    if not slots.acquire(blocking=False):
        return False
    try:
        return _attempt(delivery_id, now)
    finally:
        slots.release()


def _attempt(delivery_id: UUID, now: datetime) -> bool:
    delivery = _claim(delivery_id, now)
    if delivery is None:
        return False
    try:
        _send(delivery, now)
    except NotDelivered as failure:
        _record_failure(delivery, failure, now)
    except Exception as error:
        logger.exception("The delivery %s failed", delivery.pk)
        _record_failure(delivery, NotDelivered(Problem.UNFORESEEN, type(error).__name__), now)
    else:
        _settle(Q(pk=delivery.pk), delivery, state=DeliveryState.DELIVERED, problem="", detail="", ended_at=now)
    return True


def again(delivery: Delivery, now: datetime) -> None:
    """What was given up gets all its tries once more, under the same id."""
    given_up = Delivery.objects.filter(pk=delivery.pk, state=DeliveryState.FAILED)
    if not given_up.update(state=DeliveryState.WAITING, tries=0, next_try_at=now, ended_at=None):
        raise NotAllowedNow(_("Only a failed delivery can be tried again."))
    live.notify(delivery.notification.owner_id, TOPIC)


def _claim(delivery_id: UUID, now: datetime) -> Delivery | None:
    """The try is counted before it is made: one that kills its worker is not made for ever."""
    token = uuid4()
    free = Q(lease_until__isnull=True) | Q(lease_until__lt=now)
    rows = Delivery.objects.filter(free, pk=delivery_id, state=DeliveryState.WAITING, next_try_at__lte=now)
    # No join: the database looks again at a row that another worker had locked only where the row itself is asked.
    owner = Delivery.objects.filter(pk=delivery_id).values("notification__owner_id")
    rows = rows.exclude(Exists(_in_flight(now).filter(notification__owner_id=Subquery(owner))))
    if not rows.update(lease_token=token, lease_until=now + LEASE, tries=F("tries") + 1):
        return None
    related = ("notification__owner__preference", "notification__owner__notification_choice")
    delivery: Delivery | None = Delivery.objects.select_related(*related).filter(lease_token=token).first()
    if delivery and delivery.tries > TRIES:
        delivery.tries = TRIES
        _record_failure(delivery, NotDelivered(Problem.INTERRUPTED, for_good=True), now)
        return None
    return delivery


def _send(delivery: Delivery, now: datetime) -> None:
    owner = delivery.notification.owner
    choice = getattr(owner, "notification_choice", None) or NotificationChoice(user=owner)
    with translation.override(preference_of(owner).language or settings.LANGUAGE_CODE):
        SENDERS[delivery.way](delivery, choice, now)


def _record_failure(delivery: Delivery, failure: NotDelivered, now: datetime) -> None:
    told = {"problem": failure.problem, "detail": " ".join(failure.detail.split())[:200], "tries": delivery.tries}
    held = Q(pk=delivery.pk, lease_token=delivery.lease_token)
    if failure.for_good or delivery.tries >= TRIES:
        _settle(held, delivery, state=DeliveryState.FAILED, ended_at=now, **told)
    else:
        wait = WAITS[delivery.tries - 1]
        _settle(held, delivery, state=DeliveryState.WAITING, next_try_at=now + wait, **told)
    if failure.problem == Problem.TIMEOUT:
        _postpone_others(delivery, now)


def _postpone_others(delivery: Delivery, now: datetime) -> None:
    """To the same place: as long as the one waits that was tried most."""
    owner = delivery.notification.owner_id
    of_owner = Notification.objects.filter(owner_id=owner)
    rows = Delivery.objects.filter(notification__in=of_owner, way=delivery.way, state=DeliveryState.WAITING)
    most = rows.aggregate(most=Max("tries"))["most"] or 1
    later = now + WAITS[min(most, len(WAITS)) - 1]
    rows.filter(next_try_at__lt=later, lease_token=None).update(next_try_at=later)


def _settle(rows: Q, delivery: Delivery, **changes: object) -> None:
    """That it arrived is noted whoever has the row by now; a failure only by the one who holds it."""
    if changes["state"] != DeliveryState.WAITING:
        changes["next_try_at"] = None
    with transaction.atomic():
        if Delivery.objects.filter(rows).update(lease_token=None, lease_until=None, **changes):
            live.notify(delivery.notification.owner_id, TOPIC)
