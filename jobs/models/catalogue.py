from typing import Self

from django.db import models

from .fields.deferred_text import DeferredTextField


class PublisherModelQuerySet(models.QuerySet["PublisherModel"]):
    def only_listed(self) -> Self:
        return self.filter(is_listed=True)


class PublisherModel(models.Model):
    """A model of the configured Vertex AI's catalogue, as last read.

    `name` is the short form used everywhere in the console: `google/gemma3@gemma-3-270m`. `data` keeps what the
    pages show (overview, deploy options, sample request). `licence_acknowledged` is None until Vertex AI was asked.
    `first_seen_at` is None for what was there when the catalogue was read for the first time.
    """

    name = models.CharField(max_length=200, primary_key=True)
    publisher = models.CharField(max_length=80)
    family = models.CharField(max_length=120)
    version = models.CharField(max_length=120)
    display_name = models.CharField(max_length=200)
    launch_stage = models.CharField(max_length=40, blank=True)
    can_deploy = models.BooleanField(default=False)
    can_tune = models.BooleanField(default=False)
    data = models.JSONField(default=dict)
    licence_acknowledged = models.BooleanField(null=True, blank=True)
    is_listed = models.BooleanField(default=True)
    fetched_at = models.DateTimeField()
    first_seen_at = models.DateTimeField(null=True, blank=True)

    objects = PublisherModelQuerySet.as_manager()

    class Meta:
        ordering = ["publisher", "family", "version"]

    def __str__(self) -> str:
        return self.display_name


class LastSync(models.Model):
    """One row: when a catalogue was last read and, if reading failed since, why."""

    succeeded_at = models.DateTimeField(null=True, blank=True)
    failed_at = models.DateTimeField(null=True, blank=True)
    error_message = DeferredTextField(blank=True)

    class Meta:
        abstract = True


class CatalogueSync(LastSync):
    """Of the models."""
