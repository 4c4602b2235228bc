"""What Google Cloud told of an endpoint beside Vertex AI: its requests over a period, or the lines of its log."""

from django.db import models

from jobs.models.endpoint import Endpoint
from jobs.models.fields.deferred_text import DeferredTextField


class EndpointReport(models.Model):
    """`kind` is a period, such as `1d`, or `log`. `data` is that of the last answer, also while another is awaited or
    when the last look failed; `error` is then a sentence with the remedy."""

    endpoint = models.ForeignKey(Endpoint, on_delete=models.CASCADE, related_name="reports")
    kind = models.CharField(max_length=8)
    asked_at = models.DateTimeField()
    read_at = models.DateTimeField(null=True, blank=True)
    # When `data` was answered; None before the first answer.
    told_at = models.DateTimeField(null=True, blank=True)
    data = models.JSONField(default=list)
    error = DeferredTextField(blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["endpoint", "kind"], name="one_report_a_kind")]

    @property
    def is_awaited(self) -> bool:
        return self.read_at is None or self.read_at < self.asked_at
