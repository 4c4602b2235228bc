"""Who may sign in, and which parts of the console are alive."""

import hashlib
import secrets
from datetime import datetime, timedelta

from django.contrib.auth import SESSION_KEY
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from jobs import live
from jobs.models import Heartbeat, SignInLink

from . import audit

OWNER = "owner"


def owner() -> User:
    """The one person of a laptop. Without a password the account is entered by links only."""
    user, created = User.objects.get_or_create(username=OWNER, defaults={"is_staff": True, "is_superuser": True})
    if created:
        user.set_unusable_password()
        user.save(update_fields=["password"])
    return user


def issue_link(user: User, *, valid: timedelta) -> str:
    """The token of a link that signs `user` in once. It is not kept and cannot be shown again."""
    token = secrets.token_urlsafe(32)
    now = timezone.now()
    with transaction.atomic():
        SignInLink.objects.create(token_hash=_hash(token), user=user, expires_at=now + valid)
        audit.record("account.sign_in_link", audit.account(user), facts={"minutes": int(valid.total_seconds() // 60)})
    return token


def forget_expired(now: datetime) -> None:
    """Links and sessions that let nobody in any more."""
    SignInLink.objects.filter(expires_at__lt=now - timedelta(days=1)).delete()
    Session.objects.filter(expire_date__lt=now).delete()


def whose(token: str) -> User | None:
    """Whom the link would sign in now; looking does not use it up."""
    link = _fresh(token).select_related("user").first()
    return link.user if link else None


def redeem(token: str) -> User | None:
    """The user, the first time and in time; of two requests at once exactly one gets in."""
    if _fresh(token).update(used_at=timezone.now()) != 1:
        return None
    return User.objects.get(pk=SignInLink.objects.values_list("user_id", flat=True).get(token_hash=_hash(token)))


def _fresh(token: str) -> "QuerySet[SignInLink]":
    now = timezone.now()
    return SignInLink.objects.filter(token_hash=_hash(token), used_at=None, expires_at__gt=now, user__is_active=True)


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def end_disabled() -> None:
    """Pages of an account that was disabled, however that was done, hear nothing any more; their sessions are over."""
    gone = {str(pk) for pk in User.objects.filter(is_active=False).values_list("pk", flat=True)}
    for session in Session.objects.iterator() if gone else ():
        if session.get_decoded().get(SESSION_KEY) in gone:
            live.end_session(session.session_key)
            session.delete()
            audit.record("account.end_session", audit.Subject("account", session.get_decoded()[SESSION_KEY]))


def active_user_ids() -> list[int]:
    return list(User.objects.filter(is_active=True).values_list("pk", flat=True))


def heartbeat(name: str, now: datetime, detail: str = "") -> None:
    Heartbeat.objects.update_or_create(name=name, defaults={"seen_at": now, "detail": detail})
