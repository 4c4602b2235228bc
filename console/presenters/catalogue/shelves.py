"""The shelves of Model Garden."""

from dataclasses import dataclass
from typing import Any

from console.presenters.catalogue.model_families import Family
from jobs.models import CatalogueSync

TILES = 6


@dataclass(frozen=True)
class Shelf:
    title: str
    families: list[Family]
    query: str

    @property
    def first_families(self) -> list[Family]:
        return self.families[:TILES]


def sync_state(has_models: bool) -> dict[str, Any]:
    """`waiting` for the first reading of the catalogue, or `failed` with the time of the last good one."""
    sync = CatalogueSync.objects.first()
    if sync is None:
        return {"waiting": not has_models}
    failed = sync.failed_at is not None and (sync.succeeded_at is None or sync.failed_at > sync.succeeded_at)
    return {
        "waiting": not has_models and not failed and sync.succeeded_at is None,
        "failed": failed,
        "succeeded_at": sync.succeeded_at,
        "error": sync.error_message,
    }
