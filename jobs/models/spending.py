from datetime import datetime
from decimal import Decimal
from typing import Any, Self
from uuid import UUID, uuid5

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from .catalogue import LastSync

SECONDS_AN_HOUR = 3600


class SpendingLimits(models.Model):
    """One row, of id 1: what may be spent in a day, by a person and by everybody together. None: as much as is asked.

    `allows_unknown`: what has no known price may be started although there is a limit.
    """

    person_usd = models.DecimalField(max_digits=12, decimal_places=2, null=True, blank=True)
    console_usd = models.DecimalField(max_digits=12, decimal_places=2, null=True, blank=True)
    allows_unknown = models.BooleanField(default=False)

    @property
    def are_set(self) -> bool:
        return self.person_usd is not None or self.console_usd is not None


class SpendingReservation(models.Model):
    """What something paid was estimated at when it was asked for, on which day of the console's time zone.

    The id is the key of the request, so that a request that comes twice counts once. `usd` is what counts now: the
    estimate, then what it cost if that is known, 0 if it was never sent; None: the price is not known. It counts for
    everybody together until the end of its day, also when the account of its `user` is deleted.
    """

    id = models.UUIDField(primary_key=True)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+")
    day = models.DateField()
    object_id = models.UUIDField()
    usd = models.DecimalField(max_digits=12, decimal_places=2, null=True)
    estimated_usd = models.DecimalField(max_digits=12, decimal_places=2, null=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    closed_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [models.Index(fields=["day", "user", "usd"], name="spending_by_day")]  # noqa: RUF012

    @staticmethod
    def deployment_key(job_id: UUID) -> UUID:
        """Of the deployment that comes by itself after a training."""
        return uuid5(job_id, "deployment")


class MachinePrice(models.Model):
    """What Google's price catalogue said of one replica of a machine, when it was read last. `spot`: on Spot VMs."""

    machine_type = models.CharField(max_length=64)
    region = models.CharField(max_length=64)
    spot = models.BooleanField(default=False)
    usd_per_hour = models.DecimalField(max_digits=12, decimal_places=6)
    read_at = models.DateTimeField()

    class Meta:
        constraints = [  # noqa: RUF012
            models.UniqueConstraint(fields=["machine_type", "region", "spot"], name="one_price_a_machine"),
        ]

    def __str__(self) -> str:
        return f"{self.machine_type} in {self.region}"


class PriceSync(LastSync):
    """Of Google's prices."""


class LedgerKind(models.TextChoices):
    DEPLOYMENT = "DEPLOYMENT", _("Deployment")
    TUNING = "TUNING", _("Tuning")


class LedgerQuerySet(models.QuerySet["LedgerEntry"]):
    def still_open(self) -> Self:
        return self.filter(ended_at=None)

    def in_period(self, start: datetime, end: datetime) -> Self:
        return self.filter(Q(ended_at=None) | Q(ended_at__gt=start), started_at__lt=end)

    def delete(self) -> tuple[int, dict[str, int]]:
        raise TypeError("The ledger keeps what was spent.")


class LedgerEntry(models.Model):
    """What one deployed model cost from `started_at` to `ended_at`, while its machine, its replicas and their price
    stayed the same; or what a tuning job cost.

    An entry names its subject by id and name, and not by a foreign key: it outlives the row. `ended_at` None: the
    period goes on. `usd` is written when the period ends; None then: the price was not known. `group_id` is what pages
    add up by: the endpoint of a deployed model, or the job.
    """

    kind = models.CharField(max_length=16, choices=LedgerKind)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+")
    subject_id = models.UUIDField()
    group_id = models.UUIDField()
    job_id = models.UUIDField(null=True)
    name = models.CharField(max_length=128)
    model_name = models.CharField(max_length=128, blank=True)
    machine_type = models.CharField(max_length=64, blank=True)
    region = models.CharField(max_length=64)
    spot = models.BooleanField(default=False)
    replicas = models.PositiveSmallIntegerField(default=0)
    usd_per_hour = models.DecimalField(max_digits=12, decimal_places=6, null=True)
    price_source = models.CharField(max_length=300, blank=True)
    price_as_of = models.DateField(null=True)
    tokens = models.PositiveBigIntegerField(null=True)
    usd = models.DecimalField(max_digits=16, decimal_places=6, null=True)
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)

    objects = LedgerQuerySet.as_manager()

    class Meta:
        ordering = ["started_at", "id"]  # noqa: RUF012
        indexes = [  # noqa: RUF012
            models.Index(fields=["group_id", "started_at"], name="ledger_by_group"),
            models.Index(fields=["ended_at", "started_at"], name="ledger_by_time"),
        ]
        constraints = [  # noqa: RUF012
            models.UniqueConstraint(
                fields=["subject_id"], name="one_open_period_a_model", condition=Q(kind="DEPLOYMENT", ended_at=None)
            ),
            models.UniqueConstraint(fields=["subject_id"], name="one_entry_a_job", condition=Q(kind="TUNING")),
        ]

    def __str__(self) -> str:
        return f"{self.name} from {self.started_at:%Y-%m-%d %H:%M}"

    def delete(self, *_args: Any, **_kwargs: Any) -> tuple[int, dict[str, int]]:
        raise TypeError("The ledger keeps what was spent.")

    def usd_between(self, start: datetime, end: datetime) -> Decimal | None:
        """Of the part of its period that lies between; a tuning job's cost falls on its end. None: not known."""
        if self.kind == LedgerKind.TUNING:
            return self.usd if start < (self.ended_at or end) <= end else Decimal(0)
        seconds = (min(self.ended_at or end, end) - max(self.started_at, start)).total_seconds()
        if self.usd_per_hour is None:
            return None
        return self.usd_per_hour * self.replicas * Decimal(str(max(seconds, 0))) / SECONDS_AN_HOUR
