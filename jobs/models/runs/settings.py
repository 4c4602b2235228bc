from django.db import models
from django.utils.translation import gettext_lazy as _

ADVANCED = ("warmup_ratio", "lr_scheduler_type", "weight_decay", "seed", "max_seq_length")
MOST_WARMUP, MOST_DECAY, MOST_SEED, SHORTEST_ROW = 0.5, 1.0, 2**31 - 1, 16


class Schedule(models.TextChoices):
    """How the learning rate goes on after the warm-up."""

    CONSTANT = "constant", _("Constant")
    LINEAR = "linear", _("Linear")
    COSINE = "cosine", _("Cosine")


class AdvancedSettings(models.Model):
    """What a training is told beside its paid request's own fields. None and "": what the trainer takes by itself.

    `warmup_ratio`: the share of all steps in which the learning rate rises from 0. `max_seq_length` in tokens.
    """

    warmup_ratio = models.FloatField(null=True, blank=True)
    lr_scheduler_type = models.CharField(max_length=20, choices=Schedule, blank=True)
    weight_decay = models.FloatField(null=True, blank=True)
    seed = models.PositiveIntegerField(null=True, blank=True)
    max_seq_length = models.PositiveIntegerField(null=True, blank=True)

    class Meta:
        abstract = True
