"""What a job was found to have left: where its model lies, what it is, and where its log was read."""

from django.db import models

from jobs.models.fields.deferred_text import DeferredTextField


class ModelForm(models.TextChoices):
    """NONE: no weights were found where they were looked for."""

    WHOLE = "whole"
    ADAPTER = "adapter"
    NONE = "none"


class LogSource(models.TextChoices):
    CLOUD_LOGGING = "logging"
    BUCKET = "bucket"


class FoundResults(models.Model):
    """`result_folder` is named from the output folder on; both are empty while nobody has looked."""

    result_folder = models.CharField(max_length=1024, blank=True)
    result_form = models.CharField(max_length=8, choices=ModelForm, blank=True)
    log_text = models.TextField(blank=True)
    log_source = models.CharField(max_length=8, choices=LogSource, blank=True)
    # Why Cloud Logging gave nothing, with the remedy.
    log_problem = DeferredTextField(blank=True)
    # When Cloud Logging was asked last.
    log_read_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        abstract = True
