import uuid
from datetime import datetime

from django.conf import settings
from django.contrib.auth.models import User
from django.db import models
from django.utils import timezone


class SignedInSessionQuerySet(models.QuerySet["SignedInSession"]):
    def alive(self, now: datetime) -> "SignedInSessionQuerySet":
        return self.filter(expires_at__gt=now)

    def visible_to(self, user: User) -> "SignedInSessionQuerySet":
        return self.filter(user=user)


class SignedInSession(models.Model):
    """What one browser's cookie opens. The key in the cookie is not kept: `id` is made of its SHA-256, so a copy of
    this table signs nobody in.

    A session ends when `expires_at` is moved to the past. Its row stays until its event streams were told.
    `signed_in_at` is empty as long as nobody has signed in. `auth_hash` is the account's at that time: it differs
    once the password was changed.
    """

    id = models.UUIDField(primary_key=True, editable=False, default=uuid.uuid4)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    data = models.TextField(blank=True)
    expires_at = models.DateTimeField(db_index=True)
    signed_in_at = models.DateTimeField(null=True)
    last_seen_at = models.DateTimeField(default=timezone.now)
    address = models.GenericIPAddressField(null=True)
    agent = models.CharField(max_length=300, blank=True)
    auth_hash = models.CharField(max_length=128, blank=True)

    objects = SignedInSessionQuerySet.as_manager()
