"""Who may sign in, and which parts of the console are alive."""

import hashlib
import secrets
from datetime import datetime, timedelta
from uuid import UUID

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from jobs import live
from jobs.models import Heartbeat, SignedInSession, SignInLink
from jobs.services import audit

OWNER = "owner"
BATCH = 500
# By then no ticket of the session is valid any more, whether its streams were told or not.
FORGOTTEN_AFTER = timedelta(seconds=live.TICKET_SECONDS)


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
    SignedInSession.objects.filter(expires_at__lt=now - FORGOTTEN_AFTER).delete()


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
    """Without a join, so that PostgreSQL looks again at a row that another request was just using up."""
    links = SignInLink.objects.filter(token_hash=_hash(token), used_at=None, expires_at__gt=timezone.now())
    return links.filter(user__in=User.objects.filter(is_active=True))


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def sessions_of(user: User, now: datetime) -> "QuerySet[SignedInSession]":
    """Those that are open, the one that was used last first."""
    return SignedInSession.objects.visible_to(user).alive(now).order_by("-last_seen_at")


def end_session(user: User, pk: UUID, now: datetime) -> bool:
    """Its pages and event streams end at once. False: it is not a session of this account, or it is over."""
    ended = sessions_of(user, now).filter(pk=pk).update(expires_at=now, data="")
    close_ended_sessions(now)
    return bool(ended)


def end_other_sessions(user: User, kept: UUID, now: datetime) -> int:
    """All of the account's but one. How many there were."""
    ended = sessions_of(user, now).exclude(pk=kept).order_by().update(expires_at=now, data="")
    close_ended_sessions(now)
    return ended


def set_password(user: User, password: str) -> None:
    """Already checked. Whoever calls this ends the account's other sessions."""
    user.set_password(password)
    user.save(update_fields=["password"])


def end_lost_sessions(now: datetime) -> None:
    """Sessions of an account that was disabled or deleted or whose password was changed, however that was done."""
    alive = SignedInSession.objects.alive(now).exclude(signed_in_at=None)
    lost = set(alive.filter(Q(user=None) | Q(user__is_active=False)).values_list("pk", flat=True))
    lost |= {row.pk for row in alive.filter(user__isnull=False).select_related("user") if has_old_password(row)}
    if lost:
        SignedInSession.objects.filter(pk__in=lost).update(expires_at=now, data="")
    close_ended_sessions(now)


def has_old_password(session: SignedInSession) -> bool:
    return session.user is not None and session.auth_hash != session.user.get_session_auth_hash()


def close_ended_sessions(now: datetime) -> None:
    """The event streams of sessions that are over end, and no ticket of them opens one again. While Redis does not
    answer, the rows wait for the next sweep."""
    ended = SignedInSession.objects.filter(expires_at__lte=now)
    found = list(ended.values_list("pk", flat=True)[:BATCH])
    if found and live.end_sessions(pk.hex for pk in found):
        ended.filter(pk__in=found).delete()


def active_user_ids() -> list[int]:
    return list(User.objects.filter(is_active=True).values_list("pk", flat=True))


def heartbeat(name: str, now: datetime, detail: str = "") -> None:
    Heartbeat.objects.update_or_create(name=name, defaults={"seen_at": now, "detail": detail})
