"""Where to look for what exists."""

from django.conf import settings

from jobs.models import Endpoint, FoundResource, TuningJob
from jobs.services.catalogue import regions

MAX_REGIONS = 20


def list_regions() -> list[str]:
    """The configured ones, those where anything of this console or of the last looks lies, and on Google those where
    open models are tuned. `global` holds no endpoints and no models; its jobs are listed in their regions, too."""
    known = _list_used()
    if not settings.VERTEX_API_ENDPOINT:
        known = [*settings.VERTEX_LOCATIONS, *known, *regions.REGIONS]
    found = dict.fromkeys([settings.VERTEX_LOCATION, *known])
    return [region for region in found if region != regions.GLOBAL][:MAX_REGIONS]


def _list_used() -> list[str]:
    rows = (model.objects.order_by("location").values_list("location", flat=True).distinct() for model in KEEPERS)
    return [location for found in rows for location in found]


KEEPERS = (Endpoint, TuningJob, FoundResource)
