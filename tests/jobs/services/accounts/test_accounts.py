from datetime import timedelta

import pytest
from django.utils import timezone

from jobs.models import SignedInSession, SignInLink
from jobs.services.accounts import accounts

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)


def test_the_owner_is_made_once_and_has_no_password():
    first, again = accounts.owner(), accounts.owner()
    assert (first.pk, first.is_superuser, first.has_usable_password()) == (again.pk, True, False)


def test_a_link_works_once(owner):
    token = accounts.issue_link(owner, valid=HOUR)
    assert [accounts.redeem(token), accounts.redeem(token)] == [owner, None]


def test_only_a_hash_is_kept(owner):
    token = accounts.issue_link(owner, valid=HOUR)
    assert token not in SignInLink.objects.get().token_hash


@pytest.mark.parametrize("token", ["", "x", "\ud800", "a" * 10_000])
def test_a_guess_does_not_work(token):
    assert accounts.redeem(token) is None


def test_an_old_link_does_not_work(owner):
    assert accounts.redeem(accounts.issue_link(owner, valid=-HOUR)) is None


def test_a_person_who_left_is_not_let_in(owner):
    token = accounts.issue_link(owner, valid=HOUR)
    type(owner).objects.update(is_active=False)
    assert accounts.redeem(token) is None


def test_what_lets_nobody_in_any_more_is_forgotten(owner):
    now = timezone.now()
    accounts.issue_link(owner, valid=-HOUR * 25)
    fresh = accounts.issue_link(owner, valid=HOUR)
    for ends in (now - HOUR * 13, now - HOUR, now + HOUR):
        SignedInSession.objects.create(expires_at=ends)
    accounts.forget_expired(now)
    kept = [session.expires_at for session in SignedInSession.objects.order_by("expires_at")]
    assert (kept, SignInLink.objects.count()) == ([now - HOUR, now + HOUR], 1)
    assert accounts.whose(fresh) == owner
