"""A model that a person takes away: which files, how far they are ready, and what each is known by."""

import uuid
from typing import Self

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from jobs.models.fields.deferred_text import DeferredTextField
from jobs.models.tuning import TuningJob

from .leased_work import LeasedWork, LeasedWorkQuerySet


class TakeawayForm(models.TextChoices):
    ADAPTER = "adapter", _("Adapter")
    MERGED = "merged", _("Whole model (safetensors)")
    GGUF_F16 = "gguf-f16", _("GGUF, F16")
    GGUF_Q8_0 = "gguf-q8_0", _("GGUF, Q8_0")
    GGUF_Q4_K_M = "gguf-q4_k_m", _("GGUF, Q4_K_M")


GGUF_FORMS = frozenset({TakeawayForm.GGUF_F16, TakeawayForm.GGUF_Q8_0, TakeawayForm.GGUF_Q4_K_M})


class TakeawayState(models.TextChoices):
    WAITING = "WAITING", _("Being prepared")
    READY = "READY", _("Ready")
    FAILED = "FAILED", _("Failed")


class TakeawayQuerySet(LeasedWorkQuerySet["Takeaway"]):
    def visible_to(self, user: AbstractBaseUser | AnonymousUser) -> Self:
        return self.filter(owner_id=user.pk)


class Takeaway(LeasedWork):
    """`files` [{"name", "size", "source", "version", "sha256"}]: `source` is an address in `gs://`, with the `version`
    of its bytes, and the name in the file store once the file is there and its `sha256` known."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    job = models.ForeignKey(TuningJob, on_delete=models.CASCADE, related_name="takeaways")
    folder = models.CharField(max_length=1024)
    form = models.CharField(max_length=16, choices=TakeawayForm)
    state = models.CharField(max_length=8, choices=TakeawayState, default=TakeawayState.WAITING)
    files = models.JSONField(default=list)

    objects = TakeawayQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]
        constraints = [models.UniqueConstraint(fields=["job", "folder", "form"], name="one_takeaway_a_form")]
        indexes = [models.Index(fields=["created_at"], name="takeaway_due", condition=Q(state="WAITING"))]

    @property
    def is_gguf(self) -> bool:
        return self.form in GGUF_FORMS

    @property
    def size(self) -> int:
        return sum(int(one["size"]) for one in self.files)


class OutputListing(models.Model):
    """`files` [{"name", "size"}], named from the folder on. `error` is a sentence with the remedy."""

    job = models.OneToOneField(TuningJob, on_delete=models.CASCADE, primary_key=True, related_name="output_listing")
    asked_at = models.DateTimeField()
    read_at = models.DateTimeField(null=True, blank=True)
    files = models.JSONField(default=list)
    is_cut_off = models.BooleanField(default=False)
    error = DeferredTextField(blank=True)

    @property
    def is_awaited(self) -> bool:
        return self.read_at is None or self.read_at < self.asked_at

    @property
    def size(self) -> int:
        return sum(int(one["size"]) for one in self.files)
