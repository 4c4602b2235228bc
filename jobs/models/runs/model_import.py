"""A model on its way into the local Vertex AI: what an administrator asked for, and how far it is."""

import uuid
from datetime import datetime
from typing import Any, Self

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from .leased_work import LeasedWork, LeasedWorkQuerySet


class ModelImportState(models.TextChoices):
    """`LOOKING`, `WAITING` and `REMOVING` wait for the worker, `FOUND` for the person."""

    LOOKING = "LOOKING", _("Reading the repository")
    FOUND = "FOUND", _("Ready to download")
    WAITING = "WAITING", _("In progress")
    PAUSED = "PAUSED", _("Paused")
    READY = "READY", _("Ready")
    FAILED = "FAILED", _("Failed")
    CANCELLED = "CANCELLED", _("Cancelled")
    REMOVING = "REMOVING", _("Being removed")
    REMOVED = "REMOVED", _("Removed")


WORKED_ON = (ModelImportState.LOOKING, ModelImportState.WAITING, ModelImportState.REMOVING)
UNDER_WAY = Q(state__in=[*WORKED_ON]) | Q(is_told=False)


class ModelImportQuerySet(LeasedWorkQuerySet["ModelImport"]):
    def due(self, now: datetime) -> Self:
        return self.filter(Q(lease_until=None) | Q(lease_until__lt=now), UNDER_WAY)

    def in_progress(self) -> Self:
        """Long work of the local Vertex AI, whose end will be told."""
        return self.filter(state=ModelImportState.WAITING)

    def visible_to(self, user: AbstractBaseUser | AnonymousUser) -> Self:
        return self.filter(owner_id=user.pk)


class ModelImport(LeasedWork):
    """`token`: of the person at Hugging Face, sealed, and only while it is needed. `facts`: what the first look found;
    empty before. `is_told` False: the local Vertex AI does not know yet what was asked for last. `model`: the name of
    what came of it. `done_bytes` of one whose model was removed: what that freed."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    source = models.CharField(max_length=500)
    revision = models.CharField(max_length=200, blank=True)
    file = models.CharField(max_length=300, blank=True)
    token = models.TextField(blank=True)
    state = models.CharField(max_length=9, choices=ModelImportState, default=ModelImportState.LOOKING)
    stage = models.CharField(max_length=16, blank=True)
    facts = models.JSONField(default=dict)
    is_told = models.BooleanField(default=True)
    model = models.CharField(max_length=200, blank=True)

    objects = ModelImportQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]
        indexes = [models.Index(fields=["created_at"], name="model_import_due", condition=UNDER_WAY)]

    def __str__(self) -> str:
        return self.source

    @property
    def title(self) -> str:
        """As its publisher calls it, once that was read."""
        return str(self.facts.get("title") or self.source)

    @property
    def choices(self) -> list[Any]:
        """The GGUF files to choose from."""
        found = self.facts.get("choices", [])
        return found if isinstance(found, list) else []
