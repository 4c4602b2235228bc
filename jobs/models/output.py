"""What was last found in the output folder of a tuning job."""

from django.db import models

from .fields.deferred_text import DeferredTextField
from .tuning import TuningJob


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
