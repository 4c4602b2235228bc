"""Where a person wants to be told: addresses, kinds, the secret, a test."""

import re

import pytest
from django.core.cache import cache

from jobs.models import WANTED_AT_FIRST, Delivery, NotificationChoice
from jobs.services.notifications import choices, webhook
from tests.support import factories

pytestmark = pytest.mark.django_db
URL = "/settings/notifications/"
VALUES = {"email": "owner@example.com", "webhook_url": "https://hook.example/here", "ways": ["tuning.failed:email"]}


@pytest.fixture
def visitor(client, owner):
    cache.clear()
    client.force_login(owner)
    return client


def secret(page):
    found = re.findall(r"whsec_[A-Za-z0-9+/=]+", page.content.decode())
    return found[0] if found else ""


def ticked(page):
    return re.findall(r'name="ways" value="([^"]+)"[^>]* checked', page.content.decode())


def test_at_first_nothing_is_sent_but_what_matters_is_ticked(visitor):
    page = visitor.get(URL)
    kinds = {value.partition(":")[0] for value in ticked(page)}
    assert kinds == {*WANTED_AT_FIRST}
    assert ("EMAIL_URL" in page.content.decode(), "Send a test" in page.content.decode()) == (True, False)


def test_what_is_chosen_is_kept(visitor, owner):
    assert visitor.post(URL, VALUES).status_code == 303
    choice = NotificationChoice.objects.get(user=owner)
    assert (choice.email, choice.webhook_url) == ("owner@example.com", "https://hook.example/here")
    assert ticked(visitor.get(URL)) == ["tuning.failed:email"]


def test_a_format_is_chosen_or_follows_from_the_address(visitor, owner):
    visitor.post(URL, VALUES)
    assert NotificationChoice.objects.get(user=owner).webhook_format == ""
    visitor.post(URL, {**VALUES, "webhook_format": "slack"})
    assert NotificationChoice.objects.get(user=owner).webhook_format == "slack"
    assert '<option value="slack" selected>Slack</option>' in visitor.get(URL).content.decode()
    assert visitor.post(URL, {**VALUES, "webhook_format": "pager"}).status_code == 422


def test_the_secret_is_shown_once(visitor, owner):
    visitor.post(URL, VALUES)
    shown = secret(visitor.get(URL))
    assert shown == webhook.secret_of(NotificationChoice.objects.get(user=owner))
    assert secret(visitor.get(URL)) == ""


def test_another_address_keeps_the_secret(visitor, owner):
    visitor.post(URL, VALUES)
    first = webhook.secret_of(NotificationChoice.objects.get(user=owner))
    visitor.get(URL)
    visitor.post(URL, {**VALUES, "webhook_url": "https://hook.example/there"})
    assert secret(visitor.get(URL)) == ""
    assert webhook.secret_of(NotificationChoice.objects.get(user=owner)) == first


def test_a_new_secret_is_made(visitor):
    visitor.post(URL, VALUES)
    first = secret(visitor.get(URL))
    visitor.post(f"{URL}secret/")
    second = secret(visitor.get(URL))
    assert (second != first, second[:6]) == (True, "whsec_")


def test_the_secret_is_not_in_the_database(visitor, owner):
    visitor.post(URL, VALUES)
    shown = secret(visitor.get(URL))
    row = NotificationChoice.objects.filter(user=owner).values().get()
    texts = {name: value for name, value in row.items() if isinstance(value, str) and value}
    assert [name for name, text in texts.items() if text in shown or shown in text] == []


@pytest.mark.parametrize(
    ("values", "field"),
    [({"email": "nobody"}, "email"), ({"webhook_url": "http://hook.example/"}, "webhook_url"),
     ({"webhook_url": "https://127.0.0.1/"}, "webhook_url"), ({"webhook_url": "hook"}, "webhook_url"),
     ({"ways": ["tuning.failed:pigeon"]}, "ways")],
)  # fmt: skip
def test_a_wrong_value_is_told_at_its_field_and_kept(visitor, values, field):
    answer = visitor.post(URL, {**VALUES, **values})
    assert (answer.status_code, list(answer.context["form"].errors)) == (422, [field])
    assert NotificationChoice.objects.exclude(email="").count() == 0


def test_a_test_is_sent_and_its_outcome_shown(visitor):
    visitor.post(URL, VALUES)
    assert visitor.post(f"{URL}test/", {"way": "webhook"}).status_code == 303
    assert [(one.way, one.notification.kind) for one in Delivery.objects.all()] == [("webhook", "test")]
    assert "sending" in visitor.get(URL).content.decode()


def test_an_address_is_confirmed_by_the_link_of_its_mail(visitor, owner, stranger, settings):
    settings.CONSOLE_URL, settings.EMAIL_HOST = "http://testserver", "mail.example"
    visitor.post(URL, VALUES)
    assert "isn't confirmed yet" in visitor.get(URL).content.decode()
    choice = NotificationChoice.objects.get(user=owner)
    link = choices.confirmation_link(choice)
    assert VALUES["email"] in visitor.get(link).content.decode()
    assert not choices.confirm_email(stranger, link.split("/")[-2])
    assert [visitor.post(one).status_code for one in (f"{URL}confirm/wrong/", link)] == [302, 303]
    assert NotificationChoice.objects.get(user=owner).email_confirmed
    visitor.post(URL, {**VALUES, "email": "other@example.com"})
    assert [NotificationChoice.objects.get(user=owner).email_confirmed, visitor.post(link).status_code] == [False, 302]


@pytest.mark.parametrize("way", ["email", "webhook", "pigeon", ""])
def test_without_an_address_there_is_nothing_to_test(visitor, way):
    visitor.post(f"{URL}test/", {"way": way})
    assert Delivery.objects.count() == 0


def test_tests_are_few(visitor):
    visitor.post(URL, VALUES)
    for _ in range(7):
        visitor.post(f"{URL}test/", {"way": "webhook"})
    assert Delivery.objects.count() == 5


def test_somebody_elses_deliveries_are_not_shown(visitor, stranger):
    theirs = factories.notification(owner=stranger, facts={"name": "Theirs"})
    Delivery.objects.create(notification=theirs, way="webhook")
    assert "Theirs" not in visitor.get(URL).content.decode()


@pytest.mark.parametrize("rows", [1, 3])
def test_the_tab_takes_the_same_queries(visitor, django_assert_num_queries, rows):
    for _ in range(rows):
        Delivery.objects.create(notification=factories.notification(), way="email")
    with django_assert_num_queries(5):
        visitor.get(URL)
