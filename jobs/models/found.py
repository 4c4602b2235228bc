"""What exists in the project of Vertex AI and was not made by this console, as its lists told it last."""

import uuid
from typing import Self

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from .fields.deferred_text import DeferredTextField


class FoundKind(models.TextChoices):
    """As the gateway names them."""

    ENDPOINT = "endpoint", _("Endpoint")
    MODEL = "model", _("Registered model")
    TUNING_JOB = "tuning_job", _("Tuning job")
    CUSTOM_JOB = "custom_job", _("Custom job")


class FoundResourceQuerySet(models.QuerySet["FoundResource"]):
    def visible_to(self, user: AbstractBaseUser | AnonymousUser) -> Self:
        """It is nobody's, so it is for administrators."""
        return self if getattr(user, "is_superuser", False) else self.none()

    def costing(self) -> Self:
        """Machines work for it, whose price is not known to be nothing."""
        return self.filter(Q(usd_per_hour=None) | Q(usd_per_hour__gt=0), is_running=True)


class FoundResource(models.Model):
    """`key` is the last part of its name, which it keeps whether the project is told as an id or as a number.

    `facts` are what its page shows, each of them text from outside. `is_running`: machines work for it, at
    `usd_per_hour`, which is None where a price is not known. `created_at` is Vertex AI's time.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = models.CharField(max_length=12, choices=FoundKind)
    location = models.CharField(max_length=64)
    key = models.CharField(max_length=128)
    resource_name = models.CharField(max_length=512)
    display_name = models.CharField(max_length=128)
    state = models.CharField(max_length=40, blank=True)
    facts = models.JSONField(default=dict)
    is_running = models.BooleanField(default=False)
    usd_per_hour = models.DecimalField(max_digits=10, decimal_places=4, null=True, blank=True)
    created_at = models.DateTimeField()
    seen_at = models.DateTimeField()

    objects = FoundResourceQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "-id"]
        indexes = [
            models.Index(fields=["kind", "-created_at", "-id"], name="found_by_time"),
            models.Index(fields=["kind", "display_name", "-created_at", "-id"], name="found_by_name"),
            models.Index(fields=["usd_per_hour"], name="found_running", condition=Q(is_running=True)),
        ]
        constraints = [models.UniqueConstraint(fields=["kind", "location", "key"], name="found_once")]

    def __str__(self) -> str:
        return self.display_name


class InventoryLook(models.Model):
    """How the last look at one kind in one region went. `is_whole`: all pages were read."""

    kind = models.CharField(max_length=12, choices=FoundKind)
    location = models.CharField(max_length=64)
    looked_at = models.DateTimeField()
    succeeded_at = models.DateTimeField(null=True, blank=True)
    is_whole = models.BooleanField(default=True)
    problem = DeferredTextField(blank=True)

    class Meta:
        ordering = ["location", "kind"]
        constraints = [models.UniqueConstraint(fields=["kind", "location"], name="one_look_a_place")]
