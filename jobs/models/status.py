from django.db import models
from django.utils.translation import gettext_lazy as _

from .fields.deferred_text import DeferredJSONField, DeferredTextField


class ServiceState(models.TextChoices):
    OK = "ok", _("Working")
    WARNING = "warning", _("Needs attention")
    FAILED = "failed", _("Not working")
    UNKNOWN = "unknown", _("Unknown")


class ProbeResult(models.Model):
    """What the worker last found of a part that only it can see. `detail` is a sentence with the remedy, or empty."""

    name = models.CharField(max_length=40, primary_key=True)
    state = models.CharField(max_length=10, choices=ServiceState)
    detail = DeferredTextField(blank=True)
    facts = models.JSONField(default=dict)
    latency_ms = models.PositiveIntegerField(null=True)
    checked_at = models.DateTimeField()


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


class ProcessReport(models.Model):
    """One running process of a kind: `web`, `worker`, `chat` or `beat`. It writes `seen_at` as long as it works."""

    kind = models.CharField(max_length=20)
    host = models.CharField(max_length=100)
    pid = models.PositiveIntegerField()
    version = models.CharField(max_length=40)
    since = models.DateTimeField()
    seen_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["kind", "host", "pid"], name="one_report_of_a_process")]
