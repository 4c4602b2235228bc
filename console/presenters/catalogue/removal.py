"""An imported model before it is removed: what uses it, and what that frees."""

from dataclasses import dataclass

from django.contrib.auth.models import User
from django.urls import reverse

from jobs.models import PublisherModel, TuningJob
from jobs.services.catalogue import policies
from jobs.services.catalogue.hub import removal
from jobs.services.catalogue.hub.removal import Uses


@dataclass(frozen=True)
class Removal:
    """`why_not`: a sentence, or nothing when it may be removed. `adapters` and `merged` are the visitor's own jobs."""

    model: PublisherModel
    uses: Uses
    why_not: str
    adapters: list[TuningJob]
    merged: list[TuningJob]

    @property
    def freed_bytes(self) -> int:
        return int(self.model.data.get("imported_bytes", 0))

    @property
    def has_others(self) -> bool:
        """Adapters of other people, whose names are nobody's business."""
        return len(self.adapters) < len(self.uses.adapters)


def removal_of(user: User, model: PublisherModel) -> Removal:
    uses = removal.uses_of(model)
    why_not = policies.why_not_remove(user, model, uses.list_blocking(user))
    adapters, merged = ([job for job in jobs if job.owner_id == user.pk] for jobs in (uses.adapters, uses.merged))
    return Removal(model, uses, why_not, adapters, merged)


def removal_url(user: User, model: PublisherModel) -> str:
    """Empty where there is nothing to ask."""
    if not policies.is_imported(model) or not user.is_superuser:
        return ""
    return f"{reverse('model-remove', args=[model.publisher, model.family])}?variant={model.version}"
