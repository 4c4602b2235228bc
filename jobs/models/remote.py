"""What every row has that stands for a remote resource: whose it is, its lease, when it is due."""

import uuid
from datetime import datetime, timedelta
from typing import Any, Self

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db import models
from django.db.models import Q
from django.utils import timezone

from jobs.states import Phase

from .fields.deferred_text import DeferredTextField

FARTHEST, FARTHEST_POLLS = timedelta(minutes=20), 40
# Steps that fail one after the other, until the row is only looked at now and then.
STRIKES_ALLOWED = 5


def is_recent(moment: datetime | None, now: datetime, span: timedelta) -> bool:
    """Less than `span` ago. A time farther ahead than any step puts it comes from a clock that was ahead then: nobody
    waits for it."""
    return moment is not None and -FARTHEST <= now - moment < span


class RemoteQuerySet(models.QuerySet[Any]):
    def visible_to(self, user: AbstractBaseUser | AnonymousUser) -> Self:
        return self.filter(owner_id=user.pk)

    def due(self, now: datetime) -> Self:
        """Rows to work on, oldest debt first. A row whose lease is still held is somebody else's. A time farther ahead
        than any step puts it comes from a clock that was ahead then: it is not waited for."""
        never = now + max(FARTHEST, timedelta(seconds=FARTHEST_POLLS * settings.VERTEX_POLL_SECONDS))
        free = Q(lease_until__isnull=True) | Q(lease_until__lt=now) | Q(lease_until__gt=never)
        when = Q(next_check_at__lte=now) | Q(next_check_at__gt=never)
        # The index of what is due has no row without a time; said so, it is used.
        return self.filter(free, when, next_check_at__isnull=False).order_by("next_check_at")


class RemoteResource(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    display_name = models.CharField(max_length=128)
    location = models.CharField(max_length=64)
    request_hash = models.CharField(max_length=64, blank=True)
    resource_name = models.CharField(max_length=512, blank=True, db_index=True)

    phase = models.CharField(max_length=20, choices=Phase, default=Phase.INTENT)
    empty_looks = models.PositiveIntegerField(default=0)
    lease_token = models.UUIDField(null=True, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)
    next_check_at = models.DateTimeField(null=True, blank=True, default=timezone.now)
    # Steps begun and not ended, in a row: by an unexpected error or by the death of the process.
    strikes = models.PositiveIntegerField(default=0)

    error_code = models.CharField(max_length=40, blank=True)
    error_message = DeferredTextField(blank=True)
    notice = DeferredTextField(blank=True)

    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(auto_now=True)
    started_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return self.display_name


class PaidResource(RemoteResource):
    """One that a paid request makes: how often that was sent, and when last."""

    attempt = models.PositiveIntegerField(default=0)
    submit_started_at = models.DateTimeField(null=True, blank=True)
    licence_sent_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        abstract = True
