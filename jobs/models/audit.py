import uuid
from typing import Self

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class AuditOutcome(models.TextChoices):
    OK = "ok", _("Done")
    REFUSED = "refused", _("Refused")
    FAILED = "failed", _("Failed")


class AuditQuerySet(models.QuerySet["AuditEntry"]):
    def visible_to(self, user: AbstractBaseUser | AnonymousUser) -> Self:
        """Administrators see everything, others what they did and what was done to what is theirs."""
        if getattr(user, "is_superuser", False):
            return self.all()
        return self.filter(user_id=user.pk) if user.pk else self.none()


class AuditEntry(models.Model):
    """What was done, refused or failed. The database refuses to change and to delete a row, by triggers.

    Names stand here as they were then, and nothing refers to another table: an entry outlives what it is about.
    `user_id`: who did it, or whose thing it was when the console itself did it. `actor`: the name; `system` is the
    console. `number` has no gaps; `hash` covers this row and, through the hash of the one before, all earlier ones.
    A migration that alters this table on SQLite makes it anew: it has to put the triggers back.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    number = models.PositiveBigIntegerField(unique=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    user_id = models.BigIntegerField(null=True)
    actor = models.CharField(max_length=150, blank=True)
    action = models.CharField(max_length=60)
    object_kind = models.CharField(max_length=30, blank=True)
    object_id = models.CharField(max_length=64, blank=True)
    object_name = models.CharField(max_length=200, blank=True)
    outcome = models.CharField(max_length=8, choices=AuditOutcome)
    reason = models.CharField(max_length=60, blank=True)
    address = models.CharField(max_length=64, blank=True)
    request_id = models.CharField(max_length=32, blank=True)
    facts = models.JSONField(default=dict)
    hash = models.CharField(max_length=64)

    objects = AuditQuerySet.as_manager()

    class Meta:
        ordering = ("-created_at", "-id")
        indexes = [  # noqa: RUF012  # Django's own declaration
            models.Index(fields=["-created_at", "-id"], name="audit_by_time"),
            models.Index(fields=["user_id", "-created_at", "-id"], name="audit_by_user"),
            models.Index(fields=["object_id", "-created_at", "-id"], name="audit_by_object"),
        ]
