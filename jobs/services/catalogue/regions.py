"""Where Vertex AI tunes open models. No API tells it."""

from django.conf import settings

GLOBAL = "global"
# Google Cloud, "Tune an open model", read on 2026-09-25. The local Vertex AI takes any name of that form.
REGIONS = (GLOBAL, "us-central1", "europe-west4", "us-west1", "us-east5", "asia-southeast1", "asia-southeast2")


def list_regions() -> list[str]:
    """The configured one first."""
    return list(dict.fromkeys([settings.VERTEX_LOCATION, *REGIONS]))
