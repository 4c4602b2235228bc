"""Where Vertex AI tunes open models, and where the console deploys. No API tells the first."""

import re

from django.conf import settings

from jobs.text.deferred import gettext as _

GLOBAL = "global"
# Google Cloud, "Tune an open model", read on 2026-09-25. The local Vertex AI takes any name of that form.
REGIONS = (GLOBAL, "us-central1", "europe-west4", "us-west1", "us-east5", "asia-southeast1", "asia-southeast2")
# Locations of Google's that are no regions: nothing is deployed there.
NO_REGIONS = frozenset({GLOBAL, "us", "eu"})
# Where a console deploys that has only such a location.
HOME = "us-central1"
_OF_NAME = re.compile(r"projects/[^/]+/locations/([^/]+)/")


def list_regions() -> list[str]:
    """Where a job may be tuned; the configured one first."""
    if settings.VERTEX_LOCATIONS:
        return [settings.VERTEX_LOCATION, *(one for one in _list_configured()[1:] if one in REGIONS)]
    return list(dict.fromkeys([settings.VERTEX_LOCATION, *REGIONS]))


def list_serving_regions() -> list[str]:
    """Where a model may be deployed, the one that is proposed first. A local run has one."""
    if settings.VERTEX_API_ENDPOINT:
        return [default_serving_region()]
    known = _list_configured() if settings.VERTEX_LOCATIONS else list_regions()
    return [one for one in known if one not in NO_REGIONS] or [HOME]


def default_serving_region() -> str:
    if settings.VERTEX_LOCATION not in NO_REGIONS:
        return str(settings.VERTEX_LOCATION)
    return next((one for one in settings.VERTEX_LOCATIONS if one not in NO_REGIONS), HOME)


def has_choice() -> bool:
    """Not on a local run, where this computer is the only region."""
    return not settings.VERTEX_API_ENDPOINT


def why_not_deploy_in(region: str) -> str:
    if region in NO_REGIONS:
        words = {"value": region, "region": default_serving_region()}
        sentence = _("Vertex AI serves models in regions only, not in %(value)s. Choose a region, such as %(region)s.")
        return sentence % words
    if has_choice() and region not in list_serving_regions():
        return _("The console isn't configured for the region %(value)s. Choose a region from the list.") % {
            "value": region
        }
    return ""


def region_of(name: str) -> str:
    """Of a resource by its name; nothing where it names no region."""
    found = _OF_NAME.match(name)
    return found[1] if found and found[1] not in NO_REGIONS else ""


def _list_configured() -> list[str]:
    return list(dict.fromkeys([settings.VERTEX_LOCATION, *settings.VERTEX_LOCATIONS]))
