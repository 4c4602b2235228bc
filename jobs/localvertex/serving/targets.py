"""Which model answers: one that an endpoint has, or a model of the catalogue by its own name."""

import random
import re
from dataclasses import dataclass

from google.cloud.aiplatform_v1beta1.types import DeployedModel, Endpoint

from jobs.localvertex.api import hosts
from jobs.localvertex.api.errors import ApiError, invalid, not_found, precondition
from jobs.localvertex.models import licences
from jobs.localvertex.models.base_models import BaseModels
from jobs.localvertex.models.catalogue import Catalogue, CatalogueModel
from jobs.localvertex.serving.llama import Plan
from jobs.localvertex.serving.pool import Serving, name_of
from jobs.localvertex.store import Store

OPENAPI = "openapi"  # the endpoint of every project that takes the name of a model in the body
MANAGED = re.compile(r"-maas$")
GUIDE = "https://cloud.google.com/vertex-ai/generative-ai/docs/learn/model-versions"


@dataclass(frozen=True)
class Target:
    """`deployed` is None for a model of the catalogue that no endpoint has."""

    name: str
    plan: Plan
    deployed: DeployedModel | None = None


class Targets:
    def __init__(
        self,
        store: Store,
        catalogue: Catalogue,
        weights: BaseModels,
        serving: Serving,
        *,
        dedicated_hosts: bool = False,
    ) -> None:
        self._store = store
        self._catalogue = catalogue
        self._weights = weights
        self._serving = serving
        self._dedicated_hosts = dedicated_hosts

    def find(self, name: str, host: str, size: int, *, deployed: str = "") -> Target:
        """By the name of an endpoint or of a publisher's model below a location. `size` is the request's."""
        if "/publishers/" in name:
            return self.of_model(name)
        endpoint = self._store.get(Endpoint, name)
        if self._dedicated_hosts:
            hosts.check(name, host, is_dedicated=endpoint.dedicated_endpoint_enabled)
        hosts.check_size(size, is_dedicated=endpoint.dedicated_endpoint_enabled)
        return self._of(endpoint, deployed)

    def of_body(self, name: str, body: object) -> Target:
        """By the `model` of a request to the endpoint `openapi`."""
        model = body.get("model") if isinstance(body, dict) else None
        if not isinstance(model, str) or not model:
            message = "The model field is required: PUBLISHER/MODEL, for example google/gemma3@gemma-3-270m."
            raise invalid(message, "model")
        publisher, _, short = model.removeprefix("publishers/").replace("/models/", "/").partition("/")
        return self.of_model(f"{name.partition('/endpoints/')[0]}/publishers/{publisher}/models/{short}")

    def of_model(self, name: str) -> Target:
        """Its weights have to be here; it starts with the first request and sleeps as every other model does."""
        parent, _, rest = name.partition("/publishers/")
        model = self.require_known(parent, rest.replace("/models/", "/", 1))
        licences.require(self._store, parent.split("/")[1], model)
        weights = self._weights.require_servable(model.id, model.how_to_get)
        own = name_of(model.resource_name, model.publisher)
        mmproj = str(weights.mmproj) if weights.mmproj else None
        plan = Plan(own, str(weights.gguf), mmproj, hf=str(weights.hf), alias=model.id, sampling=weights.sampling)
        self._serving.offer(plan, lambda: self._weights.get(model.id, model.how_to_get))
        return Target(name, plan)

    def require_known(self, parent: str, name: str) -> CatalogueModel:
        """By its id, or by the name that its weights have at Hugging Face, as managed models are asked."""
        found = self._catalogue.find(name)
        if found is None and "@" not in name:
            found = self._catalogue.find_by_weights(MANAGED.sub("", name))
        if found is None:
            full = f"{parent}/publishers/{name.replace('/', '/models/', 1)}"
            raise ApiError(
                "NOT_FOUND",
                f"Publisher Model `{full}` was not found or your project does not have access to it. Please ensure you"
                f" are using a valid model version. For more information, see: {GUIDE}",
            )
        return found

    def of_endpoint(self, name: str) -> Target:
        """For this server itself: no host and no size are looked at."""
        return self._of(self._store.get(Endpoint, name))

    def _of(self, endpoint: Endpoint, wanted: str = "") -> Target:
        """By the shares of `trafficSplit`, or the one that is `wanted`."""
        name = endpoint.name
        if not endpoint.deployed_models:
            raise precondition(f"Endpoint {name} has no deployed model. Deploy one first.")
        deployed = _choose(endpoint, wanted)
        return Target(name, self._serving.plan(name_of(name, deployed.id)), deployed)


def _choose(endpoint: Endpoint, wanted: str) -> DeployedModel:
    if wanted:
        for deployed in endpoint.deployed_models:
            if deployed.id == wanted:
                return deployed
        raise not_found(f"The DeployedModel {wanted} of {endpoint.name}")
    shares = [endpoint.traffic_split.get(one.id, 0) for one in endpoint.deployed_models]
    if not any(shares):
        raise precondition(f"Endpoint {endpoint.name} sends no traffic to its deployed models. Set its traffic_split.")
    (chosen,) = random.choices(endpoint.deployed_models, shares)  # noqa: S311  # shares of traffic, no secret
    return chosen
