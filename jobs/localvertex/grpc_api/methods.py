"""Which gRPC methods there are, and the HTTP rule of each, as `google.api.http` would have it."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from jobs.localvertex import inference
from jobs.localvertex.api import versions
from jobs.localvertex.app import MODULES
from jobs.localvertex.resources.call import Route

OPERATIONS = "google.longrunning.Operations"
OPERATION_CALLS = ("get_operation", "list_operations", "delete_operation", "cancel_operation", "wait_operation")
WHOLE_BODY = {"create_deployment_resource_pool"}  # the creates that name no field as their body


@dataclass(frozen=True)
class Rpc:
    """`rules` as google.api_core.path_template takes them. Predictions have none, but the `end` of a path."""

    version: str
    method: str
    rules: tuple[dict[str, str], ...] = ()
    end: str = ""

    @property
    def request(self) -> str:
        return f"{camel(self.method)}Request"


@cache
def table() -> dict[str, Rpc]:
    """By the full name, such as `/google.cloud.aiplatform.v1.EndpointService/GetEndpoint`."""
    routes: dict[str, list[Route]] = {}
    for module in MODULES:
        for route in module.ROUTES:
            routes.setdefault(route.method, []).append(route)
    found = {f"/{OPERATIONS}/{camel(name)}": _make_rpc("ui", routes[name]) for name in OPERATION_CALLS}
    ends = {method: end for end, method in inference.METHODS.items()}
    for version in ("v1", "v1beta1"):
        for name, method in _list_published(version):
            if method in ends:
                found[name] = Rpc(version, method, end=ends[method])
            elif method in routes and (version != "v1" or versions.has_call(method)):
                found[name] = _make_rpc(version, routes[method])
    return found


def body_of(route: Route) -> str:
    """By Google's design guide: a create and a PATCH carry a resource (AIP-133, 134), other writes all (AIP-136)."""
    if route.verb == "PATCH":
        return route.path.partition("{")[2].partition(".")[0]
    if route.verb == "POST":
        created = route.method.startswith("create_") and route.method not in WHOLE_BODY
        return route.method.removeprefix("create_") if created else "*"
    return ""


def camel(method: str) -> str:
    return "".join(word.capitalize() for word in method.split("_"))


def _make_rpc(version: str, routes: Iterable[Route]) -> Rpc:
    rules = [
        {"method": route.verb, "uri": f"/{version}/{route.path}"} | ({"body": body} if (body := body_of(route)) else {})
        for route in routes
    ]
    return Rpc(version, next(iter(routes)).method, tuple(rules))


def _list_published(version: str) -> Iterable[tuple[str, str]]:
    """From the list in Google's package, without its sixty clients."""
    spec = find_spec(f"google.cloud.aiplatform_{version}")
    assert spec is not None
    assert spec.submodule_search_locations
    text = (Path(spec.submodule_search_locations[0]) / "gapic_metadata.json").read_text(encoding="utf-8")
    for service, described in json.loads(text)["services"].items():
        for rpc, written in described["clients"]["grpc"]["rpcs"].items():
            yield f"/google.cloud.aiplatform.{version}.{service}/{rpc}", written["methods"][0]
