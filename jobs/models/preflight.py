from django.db import models

from .fields.deferred_text import DeferredJSONField


class Preflight(models.Model):
    """What the worker last found before money is spent on one subject. `subject` and `lines` as in
    `jobs.services.preflight.lines`; `key` is the subject's. Until it was looked at there are no lines."""

    key = models.CharField(max_length=64, primary_key=True)
    subject = models.JSONField()
    lines = DeferredJSONField(default=list)
    asked_at = models.DateTimeField()
    checked_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return self.key
