"""Regions, and the hosts of dedicated endpoints: on one port the `Host` header alone can tell these."""

import re
import zlib

from jobs.localvertex.api.errors import ApiError, precondition

_LOCATION = re.compile(r"/locations/([^/:]+)")
# Where Google serves models, and where it tunes open ones, as its clients and its documentation list them.
REGIONS = (
    "africa-south1", "asia-east1", "asia-east2", "asia-northeast1", "asia-northeast2", "asia-northeast3", "asia-south1",
    "asia-south2", "asia-southeast1", "asia-southeast2", "australia-southeast1", "australia-southeast2",
    "europe-central2", "europe-north1", "europe-southwest1", "europe-west1", "europe-west2", "europe-west3",
    "europe-west4", "europe-west6", "europe-west8", "europe-west9", "europe-west12", "me-central1", "me-central2",
    "me-west1", "northamerica-northeast1", "northamerica-northeast2", "southamerica-east1", "southamerica-west1",
    "us-central1", "us-east1", "us-east4", "us-east5", "us-south1", "us-west1", "us-west2", "us-west3", "us-west4",
    "us-west8",
)  # fmt: skip
NO_REGIONS = ("global", "us", "eu")  # locations, where nothing is served
TUNING_LOCATIONS = (
    "global", "us-central1", "europe-west4", "us-west1", "us-east5", "asia-southeast1", "asia-southeast2",
)  # fmt: skip
DEDICATED_DOMAIN = ".prediction.vertexai.goog"
GOOGLE_DOMAINS = (".googleapis.com", DEDICATED_DOMAIN)
SHARED_LIMIT = 1_572_864
LONGEST_NUMBER = 19
GLOBAL, HOME = "/locations/global", "/locations/us-central1"


def at_home(name: str) -> str:
    """A job of `global` runs in some region, and what it makes has the names of that one."""
    return name.replace(GLOBAL, HOME, 1)


def check_location(path: str) -> None:
    """Raises as Google does for a location that there is not."""
    found = _LOCATION.search(path)
    if found and found[1] not in REGIONS and found[1] not in NO_REGIONS:
        message = f"Permission denied on 'locations/{found[1]}' (or it may not exist)."
        raise ApiError("PERMISSION_DENIED", message)


def refuse_global(parent: str, what: str = "Models are not deployed") -> None:
    """For what Google has in regions only."""
    location = parent.rpartition("/")[2]
    if location in NO_REGIONS:
        raise precondition(f"{what} in the location {location}: name a region, such as us-central1.")


def check_tuning_location(parent: str) -> None:
    location = parent.rpartition("/")[2]
    if location not in TUNING_LOCATIONS:
        known = ", ".join(TUNING_LOCATIONS)
        raise precondition(f"Open models are not tuned in the location {location}. Supported locations: {known}.")


def project_number(project: str) -> int:
    """Google's numbers are its own; ours only has to be the same for the same project."""
    if project.isdecimal() and len(project) <= LONGEST_NUMBER:
        return int(project)
    return 100_000_000_000 + zlib.crc32(project.encode())


def dedicated_dns(endpoint: str, host: str, *, own: bool) -> str:
    """`dedicatedEndpointDns`: with `own` in Google's form, and under `localhost` unless a host of Google's was asked;
    else the address that was asked."""
    if not own:
        return host
    _, project, _, region, _, number = endpoint.split("/")
    if host.endswith(GOOGLE_DOMAINS):
        return f"{number}.{region}-{project_number(project)}{DEDICATED_DOMAIN}"
    port = host.rpartition(":")[2] if ":" in host.rpartition("]")[2] else ""
    name = f"{number}.{region}-{project_number(project)}.prediction.localhost"
    return f"{name}:{port}" if port else name


def check(endpoint: str, host: str, *, is_dedicated: bool) -> None:
    """Raises as Google does when a dedicated endpoint is asked by the shared host, or any endpoint by another's."""
    right = dedicated_dns(endpoint, host, own=True)
    if host == right and is_dedicated:
        return
    if ".prediction." in host:
        raise ApiError("NOT_FOUND", f"{endpoint} is not served by the host {host}.")
    if is_dedicated:
        raise precondition(
            "Dedicated Endpoint cannot be accessed through the shared Vertex AI domain"
            f" {host}. Please access the endpoint using its dedicated dns name '{right}'."
        )


def check_size(size: int, *, is_dedicated: bool) -> None:
    if not is_dedicated and size > SHARED_LIMIT:
        raise ApiError("INVALID_ARGUMENT", f"Request payload size exceeds the limit: {SHARED_LIMIT} bytes.")
