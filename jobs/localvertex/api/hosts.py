"""Regions, and the hosts of dedicated endpoints: on one port the `Host` header alone can tell these."""

import re
import zlib

from jobs.localvertex.api.errors import ApiError, precondition

_LOCATION = re.compile(r"/locations/([^/:]+)")
_REGION = re.compile(
    r"global|(?:africa|asia|australia|europe|me|northamerica|southamerica|us)-(?:north|south|east|west|central|northeast|northwest|southeast|southwest)\d{1,2}|us|eu"
)
SHARED_LIMIT = 1_572_864
GLOBAL, HOME = "/locations/global", "/locations/us-central1"


def at_home(name: str) -> str:
    """A job of `global` runs in some region, and what it makes has the names of that one."""
    return name.replace(GLOBAL, HOME, 1)


def check_location(path: str) -> None:
    """Raises as Google does for a location that there is not. Regions that come later have names of the same form."""
    found = _LOCATION.search(path)
    if found and not _REGION.fullmatch(found[1]):
        message = f"Permission denied on 'locations/{found[1]}' (or it may not exist)."
        raise ApiError("PERMISSION_DENIED", message)


def refuse_global(parent: str) -> None:
    if parent.endswith(GLOBAL):
        message = "Models are not deployed in the location global: name a region, such as us-central1."
        raise precondition(message)


def project_number(project: str) -> int:
    """Google's numbers are its own; ours only has to be the same for the same project."""
    return int(project) if project.isdecimal() else 100_000_000_000 + zlib.crc32(project.encode())


def dedicated_dns(endpoint: str, host: str, *, own: bool) -> str:
    """`dedicatedEndpointDns`: with `own`, Google's form under `localhost`, else the address that was asked."""
    if not own:
        return host
    _, project, _, region, _, number = endpoint.split("/")
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
