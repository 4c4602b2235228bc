from django.db import models
from django.utils.translation import gettext_lazy as _


class Quantization(models.TextChoices):
    """Of the base model while an adapter is trained on it."""

    EIGHT_BITS = "8bit", _("8 bits")
    FOUR_BITS = "4bit", _("4 bits (QLoRA)")


class InContainer(models.Model):
    """A training in a container of the project's own, as a custom job of Vertex AI. Empty: by managed tuning.

    `trainer_image` is the one that was configured when the job was created.
    """

    training_machine = models.CharField(max_length=64, blank=True)
    quantization = models.CharField(max_length=8, choices=Quantization, blank=True)
    trainer_image = models.CharField(max_length=500, blank=True)

    class Meta:
        abstract = True

    @property
    def is_in_container(self) -> bool:
        return bool(self.training_machine)
