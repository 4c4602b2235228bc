"""Where a person wants to be told of an end, and of which."""

from collections.abc import Collection, Mapping
from datetime import timedelta

from django.conf import settings
from django.contrib.auth.models import User
from django.core import signing
from django.db import transaction

from jobs import addresses
from jobs.models import NotificationChoice
from jobs.services import audit

from . import webhook, webhook_address

SALT = "confirm-email"
LINK_LASTS = timedelta(days=7)


def of(user: User) -> NotificationChoice:
    """The row, or one with the defaults that is not kept yet."""
    return NotificationChoice.objects.filter(user=user).first() or NotificationChoice(user=user)


def save(
    user: User, *, email: str, webhook_url: str, ways: Mapping[str, Collection[str]], webhook_format: str = ""
) -> bool:
    """True when the webhook got its first secret, which is to be shown. Raises BadAddress."""
    if webhook_url:
        webhook_url = str(webhook_address.parse_url(webhook_url))
    with transaction.atomic():
        row = _lock(user)
        is_first = bool(webhook_url) and not row.webhook_nonce
        changed = {"email_changed": row.email != email, "webhook_changed": row.webhook_url != webhook_url}
        row.email_confirmed = row.email_confirmed and row.email == email
        row.email, row.webhook_url, row.webhook_format = email, webhook_url, webhook_format
        row.ways = {kind: sorted(chosen) for kind, chosen in ways.items()}
        row.webhook_nonce = webhook.new_nonce() if is_first else row.webhook_nonce
        row.save()
        audit.record("notifications.choose", audit.account(user), facts=changed)
    return is_first


def confirmation_link(choice: NotificationChoice) -> str:
    """For the mail alone: whoever has it reads the mail of that address."""
    token = signing.dumps([choice.user_id, choice.email], salt=SALT)
    return f"{settings.CONSOLE_URL}{addresses.of_page('confirm-email', token)}"


def confirm_email(user: User, token: str) -> bool:
    """False: the link is too old, of somebody else, or of an address that was replaced meanwhile."""
    try:
        user_id, email = signing.loads(token, salt=SALT, max_age=LINK_LASTS)
    except signing.BadSignature:
        return False
    mine = NotificationChoice.objects.filter(user=user, user_id=user_id, email=email)
    with transaction.atomic():
        if mine.update(email_confirmed=True) != 1:
            return False
        audit.record("notifications.confirm_email", audit.account(user))
    return True


def renew_secret(user: User) -> None:
    """What is sent from now on is signed with it, also what waits already."""
    with transaction.atomic():
        row = _lock(user)
        row.webhook_nonce = webhook.new_nonce()
        row.save(update_fields=["webhook_nonce"])
        audit.record("notifications.renew_secret", audit.account(user))


def _lock(user: User) -> NotificationChoice:
    NotificationChoice.objects.get_or_create(user=user)
    return NotificationChoice.objects.select_for_update().get(user=user)
