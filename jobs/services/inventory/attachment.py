"""Puts an endpoint that was not made here among those of a person, and takes it away again. Neither asks Vertex AI for
anything: the endpoint stays as it is, and costs what it costs."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any
from uuid import uuid4

from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone

from jobs.errors import NotAllowedNow
from jobs.models import DeployedModel, Endpoint, EventLevel, FoundKind, FoundResource
from jobs.services import audit
from jobs.services.endpoints import endpoint_state, endpoints
from jobs.services.remote.row_claim import record
from jobs.states import ENDPOINT_TRANSITIONS, DeployedState, EndpointState, Phase, check
from jobs.text.deferred import gettext as _

from . import ownership, policies

LONGEST_ID = 63
GONE = (EndpointState.DELETED, EndpointState.UNDEPLOYED, EndpointState.FAILED)


def find_attached(user: User, found: Iterable[FoundResource]) -> dict[str, Endpoint]:
    """The endpoints of this person that stand for these, by the name of the resource."""
    names = [one.resource_name for one in found if one.kind == FoundKind.ENDPOINT]
    rows = Endpoint.objects.visible_to(user).filter(made_here=False, resource_name__in=names).exclude(state__in=GONE)
    return {row.resource_name: row for row in rows}


def attach(user: User, found: FoundResource) -> Endpoint:
    """Asked twice it is once."""
    with transaction.atomic():
        # Whoever comes second waits here, and finds it attached.
        row = FoundResource.objects.select_for_update().filter(pk=found.pk).first()
        if row is None:
            raise NotAllowedNow(_("The endpoint isn't in the project anymore."))
        policies.check_can_attach(user, row)
        if endpoint := find_attached(user, [row]).get(row.resource_name):
            return endpoint
        endpoint = _create(user, row, timezone.now())
        record(endpoint, EventLevel.INFO, _("You attached this endpoint, which wasn't made here."))
        endpoints.notify(endpoint)
        audit.record("endpoint.attach", endpoint, facts={"resource": row.resource_name})
    return endpoint


def detach(endpoint: Endpoint) -> None:
    """Out of the list of this person; in Vertex AI nothing changes. Asked twice it is once."""
    with transaction.atomic():
        row = Endpoint.objects.select_for_update(no_key=True, of=("self",)).with_model().get(pk=endpoint.pk)
        if not row.made_here and row.state == EndpointState.DELETED:
            return
        policies.check_can_detach(row)
        now = timezone.now()
        for model in DeployedModel.objects.select_for_update().filter(endpoint=row).live():
            endpoint_state.close(model, now)
        check(ENDPOINT_TRANSITIONS, row.state, EndpointState.DELETED)
        row.state, row.phase, row.ended_at, row.next_check_at = EndpointState.DELETED, Phase.CLOSED, now, None
        row.wanted, row.lease_token, row.lease_until = EndpointState.DELETED, None, None
        row.save()
        record(row, EventLevel.INFO, _("You removed this endpoint from your list. It stays in Vertex AI as it is."))
        endpoints.notify(row)
        audit.record("endpoint.detach", row)
    endpoint.refresh_from_db()


def _create(user: User, found: FoundResource, now: datetime) -> Endpoint:
    told = found.facts["models"]
    common: dict[str, Any] = {
        "owner": user, "location": found.location, "resource_name": found.resource_name, "phase": Phase.BOUND,
        "made_here": False,
    }  # fmt: skip
    bases = _bases(found.location, told)
    models = [_model(one, bases, common, now) for one in told]
    main = max(models, key=lambda model: model.share)
    dns = found.facts.get("dedicated_dns", "")
    endpoint = Endpoint(
        state=EndpointState.READY, display_name=found.display_name, endpoint_user_id=found.key[:LONGEST_ID],
        dedicated_dns=dns, shared_address=not dns, started_at=now, next_check_at=now,
        traffic={model.deployed_model_id: model.share for model in models}, **common,
    )  # fmt: skip
    endpoint.save(force_insert=True)
    for model in models:
        model.endpoint = endpoint
        model.save(force_insert=True)
    endpoint.main_model = main
    endpoint.save(update_fields=["main_model"])
    return endpoint


def _model(
    told: Mapping[str, Any], bases: Mapping[str, str], common: Mapping[str, Any], now: datetime
) -> DeployedModel:
    """Where it comes from is known of a model of Model Garden only."""
    base = bases.get(ownership.key_of(told["model"]), "")
    return DeployedModel(
        pk=uuid4(),
        state=DeployedState.READY,
        display_name=told["display_name"] or told["id"],
        publisher_model=base,
        base_model=base,
        machine_type=told["machine_type"],
        accelerator_type=told["accelerator_type"],
        accelerator_count=told["accelerator_count"],
        min_replicas=told["count"],
        max_replicas=max(told["count"], told["most"], 1),
        available_replicas=told["available"],
        share=told["share"],
        deployed_model_id=told["id"],
        model_resource_name=told["model"],
        model_user_id=ownership.key_of(told["model"])[:LONGEST_ID],
        started_at=datetime.fromisoformat(told["created_at"]) if told["created_at"] else now,
        next_check_at=None,
        **common,
    )


def _bases(location: str, told: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """By the id of the registered model, as far as the registry tells."""
    keys = [ownership.key_of(one["model"]) for one in told]
    rows = FoundResource.objects.filter(kind=FoundKind.MODEL, location=location, key__in=keys)
    return {key: facts.get("base_model", "")[:200] for key, facts in rows.values_list("key", "facts")}
