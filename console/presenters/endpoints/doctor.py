"""What went wrong with an endpoint, and the buttons that deploy its model again."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.utils.translation import gettext as _

from console.presenters.components.diagnosis import ShownDiagnosis, ShownFix, licence_words, see_model, show
from jobs.models import DeployedModel, Endpoint
from jobs.services.costs import machine_prices, spending
from jobs.services.diagnosis import endpoint_fixes, model_fixes
from jobs.services.diagnosis.causes import Cause, Fix
from jobs.services.diagnosis.of_endpoint import diagnose, diagnose_model
from jobs.services.endpoints import endpoints, policies
from jobs.states import EndpointState


@dataclass(frozen=True)
class Doctor:
    """`shown` None: nothing is known to be wrong. `successor`: the endpoint that was deployed in place of this one."""

    shown: ShownDiagnosis | None
    successor: Endpoint | None


def examine(endpoint: Endpoint) -> Doctor:
    found = diagnose(endpoint)
    if found is None:
        return Doctor(None, None)
    successor = endpoints.find_successor(endpoint)
    fixes = [] if successor else [_show_fix(endpoint, endpoint.model, found.cause, fix) for fix in found.fixes]
    see = see_model(endpoint.model.base_model) if found.cause == Cause.TERMS else None
    return Doctor(show(found, fixes, see=see, is_endpoint=True), successor)


@dataclass(frozen=True)
class FailedModel:
    """One that was to join others on an endpoint."""

    model: DeployedModel
    shown: ShownDiagnosis


def examine_models(endpoint: Endpoint, models: Iterable[DeployedModel]) -> list[FailedModel]:
    """Of those that failed lately, each that nothing was put in place of."""
    if endpoint.state != EndpointState.READY:
        return []
    return [FailedModel(one, shown) for one in models if (shown := _examine_model(endpoint, one))]


def _examine_model(endpoint: Endpoint, model: DeployedModel) -> ShownDiagnosis | None:
    found = diagnose_model(model)
    if found is None or model_fixes.find_attempt(model):
        return None
    why_not = policies.why_not_add_model(endpoint)
    fixes = [_show_fix(endpoint, model, found.cause, fix, why_not) for fix in found.fixes]
    see = see_model(model.base_model) if found.cause == Cause.TERMS else None
    return show(found, fixes, see=see, is_endpoint=True)


def _show_fix(endpoint: Endpoint, model: DeployedModel, cause: Cause, fix: str, why_not: str = "") -> ShownFix:
    changed: dict[str, Any] = {"machine_type": model.machine_type, "max_replicas": model.max_replicas}
    changed |= endpoint_fixes.changes_of(model, fix)
    parts = (_does(endpoint, model, cause, fix), _costs(changed["machine_type"], model))
    usd = spending.deployment_usd(
        changed["machine_type"], changed["max_replicas"], endpoint.lease_hours, region=model.location, spot=model.spot
    )
    why_not = why_not or spending.why_not_spend(endpoint.owner, usd)
    return ShownFix(fix, _label(fix), " ".join(parts), why_not, of=model.deployed_model_id)


def _label(fix: str) -> str:
    kind, _colon, wanted = fix.partition(":")
    if kind == Fix.MACHINE:
        return _("Deploy on %(machine)s") % {"machine": wanted}
    if kind == Fix.REGION:
        return _("Deploy in %(region)s") % {"region": wanted}
    return {
        Fix.ACCEPT_TERMS: _("Accept the terms and deploy again"),
        Fix.ONE_REPLICA: _("Deploy with one replica"),
        Fix.REPLACE: _("Delete it and deploy again"),
        Fix.AGAIN: _("Deploy again"),
    }[Fix(kind)]


def _does(endpoint: Endpoint, model: DeployedModel, cause: Cause, fix: str) -> str:
    if fix == Fix.ACCEPT_TERMS:
        return licence_words(model.base_model)
    if not model.comes_with_endpoint:
        return _("The model is deployed here again, with the same share of the traffic.")
    if endpoint_fixes.deletes_first(cause, fix) or endpoint.is_transient:
        return _("This endpoint is deleted, so that it can't cost money later. The model gets a new endpoint.")
    return _("The model gets a new endpoint with the same settings otherwise. You can delete this one.")


def _costs(machine_type: str, model: DeployedModel) -> str:
    if settings.VERTEX_API_ENDPOINT:
        return _("It runs on this computer and costs nothing.")
    price = machine_prices.price(machine_type, model.location, spot=model.spot)
    if price is None:
        return _("The price per hour is unknown. It costs money until you undeploy it, even when nobody uses it.")
    words = {"machine": machine_type, "usd": f"{price.usd_per_hour:.2f}"}
    told = _("%(machine)s costs about $%(usd)s per hour and replica until you undeploy it, even when nobody uses it.")
    return told % words
