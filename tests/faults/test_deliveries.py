"""Several workers at one delivery, and a worker that dies at the worst moment."""

import threading
from datetime import timedelta
from uuid import uuid4

import pytest
from django.utils import timezone

from jobs import tasks
from jobs.models import Delivery, Notification
from jobs.services.notifications import deliveries, notifications
from jobs.services.notifications.notifications import End
from tests.faults.test_races import at_once
from tests.support import factories
from tests.support.receivers import receiving

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _own_network(settings):
    settings.WEBHOOK_PRIVATE = True


def waiting(url):
    choice = factories.notification_choice(webhook_url=url)
    return Delivery.objects.create(notification=factories.notification(owner=choice.user), way="webhook")


@pytest.mark.fault("F5")
def test_eight_workers_send_it_once():
    with receiving() as receiver:
        delivery, now = waiting(receiver.url), timezone.now()
        at_once(lambda: deliveries.attempt(delivery.pk, now))
        delivery.refresh_from_db()
    assert (receiver.ids, delivery.state, delivery.tries) == ([str(delivery.pk)], "DELIVERED", 1)


@pytest.mark.fault("F5")
def test_eight_who_see_one_end_tell_it_once(owner):
    factories.notification_choice(user=owner)
    end, pk = End("tuning.failed", "FAILED", {"name": "My model"}), uuid4()
    found = at_once(lambda: notifications.tell(owner.pk, "tuning_job", pk, end).pk)
    assert (len(set(found)), Notification.objects.count(), Delivery.objects.count()) == (1, 1, 1)


def test_a_success_that_comes_late_still_counts():
    """The lease of the first runs out while it waits for its answer, and a second one fails."""
    with receiving("late", 500) as receiver:
        delivery, now = waiting(receiver.url), timezone.now()
        first = threading.Thread(target=at_once, args=(lambda: deliveries.attempt(delivery.pk, now), 1))
        first.start()
        while not receiver.requests:
            first.join(0.05)
        deliveries.attempt(delivery.pk, now + deliveries.LEASE + timedelta(seconds=1))
        delivery.refresh_from_db()
        assert (delivery.state, delivery.tries) == ("WAITING", 2)
        receiver.over.set()
        first.join()
    delivery.refresh_from_db()
    assert (delivery.state, receiver.ids) == ("DELIVERED", [str(delivery.pk)] * 2)
    assert deliveries.due(now + timedelta(days=1)) == []


def test_receivers_that_hang_take_two_threads_and_not_all(settings):
    """Eight workers, eight people, and nobody's receiver answers."""
    settings.WEBHOOK_TIMEOUT = 2
    with receiving("hang") as receiver:
        made = []
        for number in range(8):
            person = factories.user(username=f"person-{number}")
            factories.notification_choice(user=person, webhook_url=receiver.url)
            made.append(Delivery.objects.create(notification=factories.notification(owner=person), way="webhook"))
        left, now = iter([one.pk for one in made]), timezone.now()
        tried = at_once(lambda: deliveries.attempt(next(left), now))
        assert (sorted(tried), len(receiver.requests)) == ([False] * 6 + [True] * 2, 2)
    assert len(deliveries.due(now)) == 6


def test_the_next_one_is_sent_when_a_place_is_free(owner, sent):
    with receiving() as receiver:
        first = waiting(receiver.url)
        second = Delivery.objects.create(notification=factories.notification(owner=owner), way="webhook")
        tasks.deliver(str(first.pk))
        tasks.deliver(str(first.pk))
    assert sent() == [("notifications.deliver", {"delivery_id": str(second.pk)})]
