from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from jobs.vertex.errors import AlreadyExists, NotFound, Refused
from jobs.vertex.values import (
    DeploySpec,
    DeployToExistingSpec,
    RemoteDeployedModel,
    RemoteEndpoint,
    RemoteError,
    RemoteOperation,
    ServingOptions,
)
from tests.fakes.base import LOCATION, PARENT, PROJECT, STAGES, Creation, Part, R, remote

if TYPE_CHECKING:
    from tests.fakes import FakeGateway


def _parent(location: str) -> str:
    return f"projects/{PROJECT}/locations/{location or LOCATION}"


def _location_of(name: str) -> str:
    return name.split("/")[3]


def _kept(spec: DeploySpec | DeployToExistingSpec) -> ServingOptions:
    """As the server shows it: with the labels of the request among those of its options."""
    resources = spec.options if spec.machine else ServingOptions(service_account=spec.options.service_account)
    return replace(resources, labels={**spec.options.labels, **spec.labels})


@dataclass
class FakeOperation:
    state: RemoteOperation
    finish: Callable[[], Any]
    by_itself: bool
    deploys: str = ""


class FakeDeployment(Part):
    """Undeploying and deleting finish at the first look; set `slow_removals` to finish them by hand."""

    noun = "deployment"

    def __init__(self, world: "FakeGateway") -> None:
        super().__init__(world)
        self.endpoints: dict[str, RemoteEndpoint] = {}
        self.models: dict[str, str] = {}
        self.operations: dict[str, FakeOperation] = {}
        self.specs: dict[str, DeploySpec] = {}
        self.coming: dict[str, set[str]] = {}
        self.slow_removals = False

    @remote
    def deploy(self, spec: DeploySpec) -> str:
        name = self._endpoint_name(spec.endpoint_user_id, spec.location)
        model = self._model_name(spec.model_user_id, spec.location)
        self._check(spec, name, model)
        endpoint = RemoteEndpoint(name, spec.endpoint_display_name, dict(spec.labels), "", ())
        self.endpoints[name], self.models[model], self.specs[name] = endpoint, spec.model_display_name, spec
        self.world.ledger.append(Creation("deployment", name, dict(spec.labels)))
        return self._begin(
            f"{_parent(spec.location)}/operations", lambda: self._serve(name, model), by_itself=False, stage=STAGES[0],
            response={"endpoint": name, "model": f"{model}@1"}, deploys=name,
        )  # fmt: skip

    @remote
    def get_operation(self, name: str) -> RemoteOperation:
        operation = self._known(self.operations, name, "Operation")
        if not operation.state.done and operation.by_itself:
            self.finish(name)
        elif not operation.state.done and self.world.automatic:
            self.progress(name)
        return replace(operation.state, response=operation.state.response if operation.state.done else {})

    @remote
    def find_deployment(self, endpoint: str) -> RemoteOperation | None:
        found = [operation.state for operation in self.operations.values() if operation.deploys == endpoint]
        return replace(found[-1], response={}) if found else None

    def endpoint_name(self, endpoint_user_id: str, location: str = "") -> str:
        return self._endpoint_name(endpoint_user_id, location)

    def model_name(self, model_user_id: str, location: str = "") -> str:
        return self._model_name(model_user_id, location)

    @remote
    def get_endpoint(self, name: str) -> RemoteEndpoint:
        return self._known(self.endpoints, name, "Endpoint")

    @remote
    def scale(self, endpoint: str, deployed_model_id: str, min_replicas: int, max_replicas: int) -> str:
        """Paid, but not a create: done twice it is the same. Refused for a range that makes no sense."""
        self._deployed(endpoint, deployed_model_id)
        to_zero = any(one.options.idle_seconds for one in self.endpoints[endpoint].deployed_models)
        if not (0 if to_zero else 1) <= min_replicas <= max_replicas:
            raise Refused("min_replica_count must be at least 1 and at most max_replica_count.", "INVALID_ARGUMENT")
        return self._begin(
            f"{endpoint}/operations", lambda: self._scaled(endpoint, deployed_model_id, min_replicas, max_replicas)
        )

    @remote
    def upload_model(self, spec: DeployToExistingSpec) -> str:
        model = self._model_name(spec.model_user_id, _location_of(spec.endpoint))
        if model in self.models:
            raise AlreadyExists(f"{model} already exists.", "ALREADY_EXISTS")
        self._require_weights(spec)
        return self._begin(f"{model}/operations", lambda: self.models.update({model: spec.display_name}))

    @remote
    def deploy_to_existing(self, spec: DeployToExistingSpec, traffic_split: Mapping[str, int]) -> str:
        """Ends when it is told to, as every deployment. An id that is taken is refused, be it on its way only."""
        model = self._model_name(spec.model_user_id, _location_of(spec.endpoint))
        found = self._known(self.endpoints, spec.endpoint, "Endpoint")
        self._known(self.models, model, "Model")
        self._check_split({**traffic_split}, {"0", *(one.id for one in found.deployed_models)})
        taken = {one.id for one in found.deployed_models} | self.coming.get(spec.endpoint, set())
        if spec.deployed_model_id in taken:
            raise AlreadyExists(f"The deployed model {spec.deployed_model_id} already exists.", "ALREADY_EXISTS")
        if spec.publisher_model:
            self.world.catalogue.require_licence(spec.publisher_model)
        self.coming.setdefault(spec.endpoint, set()).add(spec.deployed_model_id)
        name = f"{spec.endpoint}/deployedModels/{spec.deployed_model_id}"
        self.world.ledger.append(Creation("deployment", name, dict(spec.labels)))
        return self._begin(
            f"{spec.endpoint}/operations", lambda: self._serve_too(spec, traffic_split), by_itself=False,
            stage=STAGES[0], deploys=spec.endpoint,
        )  # fmt: skip

    @remote
    def share_traffic(self, endpoint: str, traffic_split: Mapping[str, int]) -> None:
        found = self._known(self.endpoints, endpoint, "Endpoint")
        self._check_split(traffic_split, {one.id for one in found.deployed_models})
        self.endpoints[endpoint] = replace(found, traffic_split=dict(traffic_split))

    @remote
    def undeploy(self, endpoint: str, deployed_model_id: str, traffic_split: Mapping[str, int]) -> str:
        """Refused for a model with traffic, unless the split gives it to those that stay."""
        self._deployed(endpoint, deployed_model_id)
        found = self.endpoints[endpoint]
        staying = {model.id for model in found.deployed_models} - {deployed_model_id}
        if staying and traffic_split:
            self._check_split(traffic_split, staying)
        elif staying and found.traffic_split.get(deployed_model_id):
            raise Refused(f"The deployed model {deployed_model_id} has traffic.", "FAILED_PRECONDITION")
        return self._begin(
            f"{endpoint}/operations", lambda: self._undeployed(endpoint, deployed_model_id, dict(traffic_split))
        )

    @remote
    def delete_endpoint(self, name: str) -> str:
        if self._known(self.endpoints, name, "Endpoint").deployed_models:
            raise Refused(f"The endpoint {name} still has a deployed model.", "FAILED_PRECONDITION")
        return self._begin(f"{name}/operations", lambda: self.endpoints.pop(name, None))

    @remote
    def delete_model(self, name: str) -> str:
        self._known(self.models, name, "Model")
        if any(model.model == name for found in self.endpoints.values() for model in found.deployed_models):
            raise Refused(f"The model {name} is still deployed.", "FAILED_PRECONDITION")
        return self._begin(f"{name}/operations", lambda: self.models.pop(name, None))

    def progress(self, name: str) -> None:
        """The next stage; the last one finishes the operation."""
        operation = self.operations[name]
        at = STAGES.index(operation.state.stage) + 1 if operation.state.stage else len(STAGES) - 1
        if at == len(STAGES) - 1:
            self.finish(name)
        else:
            operation.state = replace(operation.state, stage=STAGES[at])

    def finish(self, name: str) -> None:
        operation = self.operations[name]
        stage = STAGES[-1] if operation.state.stage else ""
        operation.finish()
        operation.state = replace(operation.state, done=True, stage=stage)

    def fail(
        self,
        name: str,
        code: str = "FAILED_PRECONDITION",
        message: str = "Model server never became ready.",
        *,
        removes: bool = False,
    ) -> None:
        """The operation ends in error. Google may leave the empty endpoint; the local server `removes` it."""
        operation = self.operations[name]
        error = RemoteError(code, message)
        operation.state = replace(operation.state, done=True, error=error, stage="FAILED_TO_DEPLOY", response={})
        self.coming.pop(operation.deploys, None)
        if removes:
            spec = self.specs[operation.deploys]
            self.models.pop(self._model_name(spec.model_user_id, spec.location))
            self.endpoints.pop(operation.deploys)

    def _check(self, spec: DeploySpec, name: str, model: str) -> None:
        if spec.location in ("global", "us", "eu"):
            raise Refused(f"Models are not deployed in {spec.location}: name a region.", "FAILED_PRECONDITION")
        if name in self.endpoints or model in self.models:
            raise AlreadyExists(f"{name} already exists.", "ALREADY_EXISTS")
        self._require_weights(spec)
        if spec.publisher_model:
            if spec.accept_eula:
                self.world.catalogue.acknowledged.add(spec.publisher_model)
            self.world.catalogue.require_licence(spec.publisher_model)

    def _require_weights(self, spec: DeploySpec | DeployToExistingSpec) -> None:
        if bool(spec.publisher_model) == bool(spec.artifact_uri):
            raise Refused("Give either a publisher model or an artifact folder.", "INVALID_ARGUMENT")
        if spec.publisher_model:
            self.world.catalogue.known(spec.publisher_model)
        elif not any(uri.startswith(spec.artifact_uri.rstrip("/") + "/") for uri in self.world.storage.objects):
            raise Refused(f"There is no model in {spec.artifact_uri}.", "INVALID_ARGUMENT")

    def _serve(self, name: str, model: str) -> None:
        spec = self.specs[name]
        asked = (spec.min_replicas, spec.max_replicas) if spec.machine else (1, 1)
        deployed = RemoteDeployedModel("4711", model, self.models[model], max(asked[0], 1), *asked, options=_kept(spec))
        dns = f"{name.rsplit('/', 1)[1]}.{_location_of(name)}-1.prediction.vertexai.goog"
        shared = self.specs[name].shared_address
        self.endpoints[name] = replace(
            self.endpoints[name], dedicated_dns="" if shared else dns, deployed_models=(deployed,),
            traffic_split={"4711": 100},
        )  # fmt: skip

    def _serve_too(self, spec: DeployToExistingSpec, split: Mapping[str, int]) -> None:
        model = self._model_name(spec.model_user_id, _location_of(spec.endpoint))
        found = self.endpoints[spec.endpoint]
        low, high = spec.min_replicas, spec.max_replicas
        deployed = RemoteDeployedModel(
            spec.deployed_model_id,
            model,
            spec.display_name,
            low,
            low,
            high,
            machine=spec.machine,
            options=_kept(spec),
        )
        self.coming[spec.endpoint].discard(deployed.id)
        self.endpoints[spec.endpoint] = replace(
            found, deployed_models=(*found.deployed_models, deployed),
            traffic_split={deployed.id if key == "0" else key: share for key, share in split.items()},
        )  # fmt: skip

    def _check_split(self, split: Mapping[str, int], ids: set[str]) -> None:
        if not set(split) <= ids or sum(split.values()) != 100 or min(split.values()) < 0:
            raise Refused("traffic_split must name deployed models and add up to 100.", "INVALID_ARGUMENT")

    def _undeployed(self, endpoint: str, gone: str, split: dict[str, int]) -> None:
        found = self.endpoints[endpoint]
        kept = tuple(model for model in found.deployed_models if model.id != gone)
        shares = split or {key: share for key, share in found.traffic_split.items() if key != gone}
        ids = {model.id for model in kept}
        self.endpoints[endpoint] = replace(
            found, deployed_models=kept, traffic_split={key: share for key, share in shares.items() if key in ids}
        )

    def _deployed(self, endpoint: str, deployed_model_id: str) -> None:
        found = self._known(self.endpoints, endpoint, "Endpoint")
        if deployed_model_id not in [model.id for model in found.deployed_models]:
            raise NotFound(f"No deployed model {deployed_model_id} on {endpoint}.", "NOT_FOUND")

    def _scaled(self, endpoint: str, deployed_model_id: str, low: int, high: int) -> None:
        found = self.endpoints[endpoint]
        models = tuple(
            replace(model, available_replicas=low, min_replicas=low, max_replicas=high)
            if model.id == deployed_model_id
            else model
            for model in found.deployed_models
        )
        self.endpoints[endpoint] = replace(found, deployed_models=models)

    def begin_export(self, finish: Callable[[], Any]) -> str:
        return self._begin(f"{PARENT}/operations", finish)

    def _begin(
        self, parent: str, finish: Callable[[], Any], *, by_itself: bool = True, stage: str = "",
        response: Mapping[str, Any] | None = None, deploys: str = "",
    ) -> str:  # fmt: skip
        name = f"{parent}/{9000 + len(self.operations)}"
        state = RemoteOperation(name, False, None, stage, response or {})
        self.operations[name] = FakeOperation(state, finish, by_itself and not self.slow_removals, deploys)
        return name

    def _endpoint_name(self, endpoint_user_id: str, location: str = "") -> str:
        return f"{_parent(location)}/endpoints/{endpoint_user_id}"

    def _model_name(self, model_user_id: str, location: str = "") -> str:
        return f"{_parent(location)}/models/{model_user_id}"

    def _known(self, table: Mapping[str, R], name: str, kind: str) -> R:
        if name not in table:
            raise NotFound(f"The {kind} {name} does not exist.", "NOT_FOUND")
        return table[name]
