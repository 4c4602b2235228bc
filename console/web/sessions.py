"""Where sessions are kept: in the database, under a hash of their key, with an end that no request can put off.

A session lasts SESSION_COOKIE_AGE from the sign-in, and SESSION_IDLE_SECONDS from its last use.
"""

import logging
import uuid
from collections.abc import Collection
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import Any

from django.conf import settings
from django.contrib.auth import HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.models import User
from django.contrib.sessions.backends.base import CreateError, SessionBase, UpdateError
from django.db import DatabaseError, IntegrityError, transaction
from django.http import HttpRequest
from django.utils import timezone

from jobs.live import seal
from jobs.models import SignedInSession

logger = logging.getLogger(__name__)

SIGNED_IN_AT, ADDRESS, AGENT = "signed_in_at", "address", "agent"
LONGEST_AGENT = 300
SEEN_EVERY = timedelta(minutes=1)


def row_id(session_key: str | None) -> uuid.UUID:
    return uuid.UUID(hex=seal(session_key))


def find_alive(session_keys: Collection[str]) -> set[str]:
    """Those with which somebody is signed in now. One query."""
    keys = {row_id(key): key for key in session_keys}
    rows = SignedInSession.objects.alive(timezone.now()).filter(pk__in=keys, user__isnull=False)
    return {keys[pk] for pk in rows.values_list("pk", flat=True)}


def address_of(request: HttpRequest) -> str | None:
    """None for what is no address: a proxy may pass on anything, and a socket of this machine has none."""
    with suppress(ValueError):
        return str(ip_address(request.META.get("REMOTE_ADDR", "").partition("%")[0]))
    return None


def note_sign_in(sender: object, request: HttpRequest, user: User, **more: Any) -> None:
    """A receiver of Django's signal, so that no way in is forgotten."""
    request.session[SIGNED_IN_AT] = timezone.now().timestamp()
    request.session[ADDRESS] = address_of(request)
    request.session[AGENT] = request.META.get("HTTP_USER_AGENT", "")[:LONGEST_AGENT]


class SessionStore(SessionBase):
    def __init__(self, session_key: str | None = None) -> None:
        super().__init__(session_key)
        self.last_seen_at: datetime | None = None

    @property
    def signed_in_at(self) -> datetime | None:
        seconds = self.get(SIGNED_IN_AT)
        return datetime.fromtimestamp(seconds, UTC) if seconds else None

    def get_expiry_date(self, **kwargs: Any) -> datetime:
        """When it ends if it is used no more after now."""
        now = timezone.now()
        return min(self.longest(now), now + timedelta(seconds=settings.SESSION_IDLE_SECONDS))

    def get_expiry_age(self, **kwargs: Any) -> int:
        """Of the cookie: it outlives a session that is idle, which only the server can tell."""
        now = timezone.now()
        return max(0, int((self.longest(now) - now).total_seconds()))

    def longest(self, now: datetime) -> datetime:
        return (self.signed_in_at or now) + timedelta(seconds=settings.SESSION_COOKIE_AGE)

    def load(self) -> dict[str, Any]:
        row = SignedInSession.objects.alive(timezone.now()).filter(pk=row_id(self.session_key)).first()
        if row is None:
            self._session_key = None
            return {}
        self.last_seen_at = row.last_seen_at
        return self.decode(row.data)

    def exists(self, session_key: str) -> bool:
        return SignedInSession.objects.filter(pk=row_id(session_key)).exists()

    def create(self) -> None:
        while True:
            self._session_key = self._get_new_session_key()  # type: ignore[attr-defined]
            try:
                self.save(must_create=True)
            except CreateError:
                continue
            self.modified = True
            return

    def save(self, must_create: bool = False) -> None:
        """Raises UpdateError when the session was ended meanwhile: a request that was under way must not revive it;
        or when its account was deleted."""
        if self.session_key is None:
            self.create()
            return
        values = self.columns(self._get_session(no_load=must_create))  # type: ignore[attr-defined]
        try:
            with transaction.atomic():
                is_kept = self.insert(values) if must_create else self.replace(values)
        except IntegrityError:
            is_kept = False
        if not is_kept:
            raise CreateError if must_create else UpdateError
        self.last_seen_at = values["last_seen_at"]

    def insert(self, values: dict[str, Any]) -> bool:
        return bool(SignedInSession.objects.create(pk=row_id(self.session_key), **values))

    def replace(self, values: dict[str, Any]) -> bool:
        return bool(SignedInSession.objects.alive(timezone.now()).filter(pk=row_id(self.session_key)).update(**values))

    def columns(self, data: dict[str, Any]) -> dict[str, Any]:
        return {
            "user_id": data.get(SESSION_KEY),
            "data": self.encode(data),
            "expires_at": self.get_expiry_date(),
            "signed_in_at": self.signed_in_at,
            "last_seen_at": timezone.now(),
            "address": data.get(ADDRESS),
            "agent": data.get(AGENT, ""),
            "auth_hash": data.get(HASH_SESSION_KEY, ""),
        }

    def delete(self, session_key: str | None = None) -> None:
        """Ends it. The row goes once its event streams were told."""
        if key := session_key or self.session_key:
            now = timezone.now()
            SignedInSession.objects.alive(now).filter(pk=row_id(key)).update(expires_at=now, data="")

    def touch(self, address: str | None) -> None:
        """Notes that it is in use, at most once a minute. A page is shown also when this cannot be written."""
        now = timezone.now()
        if self.last_seen_at is None or now - self.last_seen_at < SEEN_EVERY:
            return
        values = {"last_seen_at": now, "expires_at": self.get_expiry_date(), "address": address}
        try:
            with transaction.atomic():
                SignedInSession.objects.alive(now).filter(pk=row_id(self.session_key)).update(**values)
        except DatabaseError as error:
            logger.warning("The use of a session could not be noted: %s", error)

    @classmethod
    def clear_expired(cls) -> None:
        """Nothing: `accounts.close_ended_sessions` does it, once their streams were told."""
