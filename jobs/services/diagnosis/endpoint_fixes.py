"""Mends an endpoint that was never served: deploys its model again, with what was at fault put right."""

from collections.abc import Mapping
from typing import Any

from django.db import transaction

from jobs.models import DeployedModel, Endpoint
from jobs.services.endpoints import endpoints, policies as endpoint_policies

from . import policies
from .causes import Cause, Fix
from .of_endpoint import diagnose, other_machines


def mend(endpoint: Endpoint, fix: str) -> Endpoint:
    """Asked twice it is one endpoint, as long as that one lives. What may still come up late, or waits to be sent, is
    deleted first, so that it is never paid for beside the other. Raises NotAllowedNow."""
    with transaction.atomic():
        row = Endpoint.objects.select_for_update(no_key=True).get(pk=endpoint.pk)
        if found := endpoints.find_successor(row):
            return found
        diagnosis = diagnose(row)
        policies.check_can_redeploy(diagnosis, fix)
        assert diagnosis is not None
        changes = changes_of(row.model, fix)
        if deletes_first(diagnosis.cause, fix) or row.state not in endpoint_policies.OVER:
            endpoints.request_delete(row)
        made = endpoints.deploy_again(row, changes)
    endpoint.refresh_from_db()
    return made


def deletes_first(cause: Cause, fix: str) -> bool:
    """What may come up late, or is left in a region that nobody looks at any more."""
    return cause == Cause.NEVER_READY or fix.startswith(f"{Fix.REGION}:")


def changes_of(model: DeployedModel, fix: str) -> Mapping[str, Any]:
    """The columns that differ from those of the model."""
    if fix == Fix.ACCEPT_TERMS:
        return {"accepts_licence": True}
    if fix == Fix.ONE_REPLICA:
        return {"min_replicas": min(model.min_replicas, 1), "max_replicas": 1}
    kind, _colon, wanted = fix.partition(":")
    if kind == Fix.REGION:
        return {"location": wanted}
    if kind != Fix.MACHINE:
        return {}
    offered = (*other_machines(model), *other_machines(model, larger=True))
    machine = next(one for one in offered if one["machine_type"] == wanted)
    return {name: machine[name] for name in ("machine_type", "accelerator_type", "accelerator_count")}
