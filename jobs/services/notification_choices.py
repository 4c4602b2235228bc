"""Where a person wants to be told of an end, and of which."""

from collections.abc import Collection, Mapping

from django.contrib.auth.models import User
from django.db import transaction

from jobs.models import NotificationChoice

from . import webhook, webhook_address


def of(user: User) -> NotificationChoice:
    """The row, or one with the defaults that is not kept yet."""
    return NotificationChoice.objects.filter(user=user).first() or NotificationChoice(user=user)


def save(user: User, *, email: str, webhook_url: str, ways: Mapping[str, Collection[str]]) -> bool:
    """True when the webhook got its first secret, which is to be shown. Raises BadAddress."""
    if webhook_url:
        webhook_url = str(webhook_address.parsed(webhook_url))
    with transaction.atomic():
        row = _locked(user)
        is_first = bool(webhook_url) and not row.webhook_nonce
        row.email, row.webhook_url = email, webhook_url
        row.ways = {kind: sorted(chosen) for kind, chosen in ways.items()}
        row.webhook_nonce = webhook.new_nonce() if is_first else row.webhook_nonce
        row.save()
    return is_first


def renew_secret(user: User) -> None:
    """What is sent from now on is signed with it, also what waits already."""
    with transaction.atomic():
        row = _locked(user)
        row.webhook_nonce = webhook.new_nonce()
        row.save(update_fields=["webhook_nonce"])


def _locked(user: User) -> NotificationChoice:
    NotificationChoice.objects.get_or_create(user=user)
    return NotificationChoice.objects.select_for_update().get(user=user)
