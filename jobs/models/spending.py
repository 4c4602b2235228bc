from django.conf import settings
from django.db import models
from django.utils import timezone


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
    estimate, then what it cost if that is known, 0 if it was never sent; None: the price is not known.
    """

    id = models.UUIDField(primary_key=True)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    day = models.DateField()
    object_id = models.UUIDField()
    usd = models.DecimalField(max_digits=12, decimal_places=2, null=True)
    estimated_usd = models.DecimalField(max_digits=12, decimal_places=2, null=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    closed_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [models.Index(fields=["day", "user", "usd"], name="spending_by_day")]  # noqa: RUF012
