import uuid
from typing import Self

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db import models
from django.utils import timezone


class SweepQuerySet(models.QuerySet["Sweep"]):
    def visible_to(self, user: AbstractBaseUser | AnonymousUser) -> Self:
        return self.filter(owner_id=user.pk)


class Sweep(models.Model):
    """Jobs that differ in few settings, started together. Its id is the one of the draft, so a form sent twice is one
    sweep. `varied`: {setting: [values]}, every combination of which is a job.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    display_name = models.CharField(max_length=128)
    varied = models.JSONField(default=dict)
    request_hash = models.CharField(max_length=64)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = SweepQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return self.display_name


class InSweep(models.Model):
    """`sweep_place` counts from 1."""

    sweep = models.ForeignKey(Sweep, on_delete=models.SET_NULL, null=True, blank=True, related_name="jobs")
    sweep_place = models.PositiveSmallIntegerField(null=True, blank=True)

    class Meta:
        abstract = True
