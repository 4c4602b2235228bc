"""A tuned model beside the model that it was tuned from, which is deployed for that where no endpoint serves it."""

from dataclasses import dataclass
from uuid import UUID, uuid5

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Case, Value, When

from jobs.models import Comparison, Endpoint, LeaseKind, PublisherModel
from jobs.services import audit
from jobs.services.endpoints import endpoints
from jobs.states import EndpointState

from . import comparisons, policies


@dataclass(frozen=True)
class Deployment:
    """How the base model is deployed. With `lease_hours` it is undeployed by itself, as `lease_kind` says."""

    machine: endpoints.Machine
    accepts_licence: bool = False
    lease_kind: str = LeaseKind.FIXED
    lease_hours: int | None = None


def find(tuned: Endpoint) -> Endpoint | None:
    """An endpoint of the same person that serves the base model, or else one that is going to."""
    base = tuned.model.base_model
    serving = (EndpointState.READY, EndpointState.DEPLOYING)
    found = Endpoint.objects.visible_to(tuned.owner).with_model().exclude(pk=tuned.pk)
    found = found.filter(main_model__publisher_model=base, state__in=serving, wanted=EndpointState.READY)
    rank = Case(When(state=EndpointState.READY, then=Value(0)), default=Value(1))
    first: Endpoint | None = found.order_by(rank, "-created_at").first() if base else None
    return first


def model_of(tuned: Endpoint) -> PublisherModel | None:
    return PublisherModel.objects.only_listed().filter(name=tuned.model.base_model).first()


def compare(owner: User, *, key: UUID, tuned: Endpoint, base: Endpoint) -> Comparison:
    return comparisons.create(owner, key=key, endpoints=[base, tuned])


def deploy(owner: User, *, key: UUID, tuned: Endpoint, deployment: Deployment) -> Comparison:
    """The comparison, whose first column can be asked when the base model is ready. Costs what its machine costs.

    The same key again, or a base model that is on its way already, deploys nothing more."""
    with transaction.atomic():
        tuned = Endpoint.objects.select_for_update(of=("self",)).with_model().get(pk=tuned.pk)
        if found := find(tuned):
            return compare(owner, key=key, tuned=tuned, base=found)
        model = model_of(tuned)
        policies.check_can_deploy_base(tuned, model)
        assert model is not None
        made = endpoints.deploy_model(owner, key=uuid5(key, "base"), spec=_spec(model, deployment, tuned.location))
        with audit.fold():
            return compare(owner, key=key, tuned=tuned, base=made)


def _spec(model: PublisherModel, deployment: Deployment, region: str) -> endpoints.DeploymentSpec:
    return endpoints.DeploymentSpec(
        display_name=f"{model.version[:100]}-mg-one-click-deploy",
        publisher_model=model.name,
        accepts_licence=deployment.accepts_licence,
        machine=deployment.machine,
        lease_kind=deployment.lease_kind,
        lease_hours=deployment.lease_hours,
        location=region,
    )
