from datetime import datetime
from typing import Self, TypeVar

from django.db import models
from django.db.models import Q
from django.utils import timezone

from jobs.models.fields.deferred_text import DeferredTextField

WAITING = "WAITING"
Row = TypeVar("Row", bound=models.Model, covariant=True)


class LeasedWorkQuerySet(models.QuerySet[Row]):
    def due(self, now: datetime) -> Self:
        """What waits and no worker has."""
        return self.filter(Q(lease_until=None) | Q(lease_until__lt=now), state=WAITING)


class LeasedWork(models.Model):
    """What a worker does for a person and may take long. Whoever inherits it has a `state`, one of which is WAITING.

    A worker has it until `lease_until`, which it moves on while it goes on. `error`: why it failed, with the remedy.
    """

    done_bytes = models.BigIntegerField(default=0)
    total_bytes = models.BigIntegerField(default=0)
    error = DeferredTextField(blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        abstract = True

    @property
    def percent(self) -> int:
        """At most 99 while it goes on."""
        return min(100 * self.done_bytes // self.total_bytes, 99) if self.total_bytes else 0
