"""The queue of what leaves the console: tried a few times, settled once."""

from datetime import timedelta

import pytest
from django.core import mail as outbox
from django.utils import timezone, translation

from jobs.errors import NotAllowedNow
from jobs.models import AccountPreference, Delivery
from jobs.services.notifications import deliveries, notifications
from tests.support import factories
from tests.support.receivers import receiving

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _set_up(settings):
    settings.WEBHOOK_PRIVATE, settings.EMAIL_HOST = True, "127.0.0.1"


def waiting(url="", **values):
    choice = factories.notification_choice(webhook_url=url) if url else factories.notification_choice()
    told = factories.notification(owner=choice.user)
    return Delivery.objects.create(**{"notification": told, "way": "webhook" if url else "email"} | values)


def drive(delivery, times=1):
    """Tries it at its due times; how long it waited before each."""
    waits = []
    for _ in range(times):
        delivery.refresh_from_db()
        if delivery.next_try_at is None:
            break
        before = delivery.next_try_at
        deliveries.attempt(delivery.pk, before)
        delivery.refresh_from_db()
        if delivery.next_try_at:
            waits.append((delivery.next_try_at - before).total_seconds())
    return waits


def test_what_arrived_is_over():
    with receiving() as receiver:
        delivery = waiting(receiver.url)
        drive(delivery, 3)
    assert (delivery.state, delivery.tries, delivery.next_try_at, receiver.ids) == (
        "DELIVERED", 1, None, [str(delivery.pk)],
    )  # fmt: skip
    assert deliveries.due(timezone.now() + timedelta(days=1)) == []


def test_an_email_is_sent_once():
    delivery = waiting()
    drive(delivery, 3)
    assert (delivery.state, len(outbox.outbox)) == ("DELIVERED", 1)


def test_it_is_tried_later_and_later_and_then_given_up():
    with receiving(500) as receiver:
        delivery = waiting(receiver.url)
        waits = drive(delivery, 20)
    assert waits == [15, 60, 300, 1800, 3600, 3 * 3600, 6 * 3600]
    assert (delivery.state, delivery.tries, len(receiver.ids), len(set(receiver.ids))) == ("FAILED", 8, 8, 1)
    assert delivery.problem_words == "The receiver answered with status 500."


def test_a_receiver_that_recovers_gets_it():
    with receiving(503, "drop", 200) as receiver:
        delivery = waiting(receiver.url)
        drive(delivery, 20)
    assert (delivery.state, delivery.tries, delivery.problem) == ("DELIVERED", 3, "")


def test_a_receiver_that_is_gone_is_left_alone():
    with receiving(410) as receiver:
        delivery = waiting(receiver.url)
        drive(delivery, 20)
    assert (delivery.state, delivery.tries) == ("FAILED", 1)


def test_it_is_not_tried_before_its_time():
    with receiving(500) as receiver:
        delivery = waiting(receiver.url)
        drive(delivery)
        deliveries.attempt(delivery.pk, delivery.next_try_at - timedelta(seconds=1))
    assert len(receiver.ids) == 1


def test_what_was_given_up_can_be_tried_again_under_the_same_id():
    with receiving(410, 204) as receiver:
        delivery = waiting(receiver.url)
        drive(delivery)
        deliveries.again(delivery, timezone.now())
        drive(delivery)
    assert (delivery.state, receiver.ids) == ("DELIVERED", [str(delivery.pk)] * 2)


def test_what_arrived_cannot_be_sent_again():
    delivery = waiting()
    drive(delivery)
    with pytest.raises(NotAllowedNow):
        deliveries.again(delivery, timezone.now())


def test_a_worker_killed_after_sending_leaves_the_same_id():
    """The end of the process stands between the sending and its note: a BaseException that nobody catches."""
    with receiving() as receiver:
        delivery = waiting(receiver.url)
        now = timezone.now()
        assert deliveries._claim(delivery.pk, now) is not None
        deliveries.attempt(delivery.pk, now + timedelta(minutes=1))
        assert receiver.ids == []
        deliveries.attempt(delivery.pk, now + deliveries.LEASE + timedelta(seconds=1))
    delivery.refresh_from_db()
    assert (delivery.state, delivery.tries, receiver.ids) == ("DELIVERED", 2, [str(delivery.pk)])


def test_what_kills_its_worker_every_time_is_given_up():
    delivery, now = waiting(), timezone.now()
    for _ in range(deliveries.TRIES):
        assert deliveries._claim(delivery.pk, now) is not None
        now += deliveries.LEASE + timedelta(seconds=1)
    deliveries.attempt(delivery.pk, now)
    delivery.refresh_from_db()
    assert (delivery.state, delivery.problem, delivery.tries, outbox.outbox) == ("FAILED", "interrupted", 8, [])


def test_an_unforeseen_error_is_tried_again(settings):
    settings.EMAIL_BACKEND = "no.such.Backend"
    delivery = waiting()
    drive(delivery)
    assert (delivery.state, delivery.problem, delivery.detail) == ("WAITING", "error", "ModuleNotFoundError")


def test_a_way_that_was_switched_off_meanwhile(owner):
    delivery = waiting()
    owner.notification_choice.delete()
    drive(delivery)
    assert (delivery.state, delivery.problem_words) == (
        "FAILED",
        "This channel was turned off before the notification was sent.",
    )


def test_it_speaks_the_language_of_its_owner(owner):
    AccountPreference.objects.create(user=owner, language="ko")
    delivery = waiting()
    drive(delivery)
    with translation.override("ko"):
        in_korean = delivery.notification.title
    assert (outbox.outbox[0].subject, in_korean == "Tuning My model succeeded") == (in_korean, False)


def queued(owner, **values):
    values = {"way": "webhook", "next_try_at": timezone.now()} | values
    return Delivery.objects.create(notification=factories.notification(owner=owner), **values)


def test_the_due_come_oldest_first_and_not_those_in_work(owner, team_mate, stranger):
    now = timezone.now()
    late, later = queued(owner, next_try_at=now), queued(team_mate, next_try_at=now - timedelta(minutes=1))
    queued(stranger, lease_until=now + timedelta(minutes=1))
    assert deliveries.due(now) == [later.pk, late.pk]


def test_of_one_person_one_is_sent_at_a_time(owner, team_mate):
    """Whoever asks: the sweep, or a message that comes at once."""
    now = timezone.now()
    first, second = queued(owner, next_try_at=now - timedelta(minutes=1)), queued(owner, way="email", next_try_at=now)
    theirs = queued(team_mate, next_try_at=now)
    assert deliveries.due(now) == [first.pk, theirs.pk]
    assert deliveries._claim(first.pk, now) is not None
    assert (deliveries._claim(second.pk, now), deliveries.due(now)) == (None, [theirs.pk])
    assert deliveries._claim(theirs.pk, now) is not None
    later = now + deliveries.LEASE + timedelta(seconds=1)
    assert deliveries._claim(second.pk, later) is not None


def test_after_a_time_out_the_others_to_that_place_wait(owner, team_mate, settings):
    """A receiver that hangs is asked as seldom for a hundred notifications as for one."""
    settings.WEBHOOK_TIMEOUT = 0.2
    now, hour = timezone.now(), timedelta(hours=1)
    with receiving("hang") as receiver:
        factories.notification_choice(user=owner, webhook_url=receiver.url)
        for _ in range(30):
            queued(owner, next_try_at=now)
        mail, theirs = queued(owner, way="email", next_try_at=now + hour), queued(team_mate, next_try_at=now)
        for second in range(0, 3600, 5):
            for pk in deliveries.due(now + timedelta(seconds=second)):
                if pk != theirs.pk:
                    deliveries.attempt(pk, now + timedelta(seconds=second))
        assert (len(receiver.requests), len(set(receiver.ids))) == (5, 1)
    mail.refresh_from_db(), theirs.refresh_from_db()
    assert (mail.next_try_at, theirs.next_try_at, mail.tries) == (now + hour, now, 0)


def test_a_test_goes_the_same_road(owner):
    factories.notification_choice(user=owner)
    [delivery] = notifications.tell_test(owner, "email").deliveries.all()
    drive(delivery)
    assert (delivery.state, outbox.outbox[0].subject) == ("DELIVERED", "This is a test")


def test_a_failing_delivery_of_one_does_not_touch_another():
    with receiving(500) as receiver:
        bad = waiting(receiver.url)
        good = Delivery.objects.create(notification=bad.notification, way="email")
        drive(bad)
        drive(good)
    assert (bad.state, good.state) == ("WAITING", "DELIVERED")
