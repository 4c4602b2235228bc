"""How many replicas a deployed model has. Its row says what is wanted; a step brings Vertex AI to it.

Naming the numbers again changes nothing more, so a change whose reply was lost is simply sent again.
"""

from functools import partial
from typing import Any
from uuid import UUID, uuid4

from django.db import transaction
from django.utils import timezone

from jobs.models import DeployedModel, Endpoint, EventLevel
from jobs.services import audit
from jobs.services.costs import spending
from jobs.services.remote.row_claim import NOW, Claim, Event, Outcome, poll_seconds, record
from jobs.text.deferred import gettext as _
from jobs.vertex import get_gateway
from jobs.vertex.errors import NotFound, Refused
from jobs.vertex.values import RemoteDeployedModel, RemoteError

from . import policies, spec_rules


def ask(model: DeployedModel, *, minimum: int, maximum: int) -> bool:
    """The wish, on disk. False when it is what is wanted already, as after a double click."""
    spec_rules.validate(min_replicas=minimum, max_replicas=maximum, scales_to_zero=scales_to_zero(model))
    with transaction.atomic():
        endpoint = Endpoint.objects.select_for_update(no_key=True).get(pk=model.endpoint_id)
        row = DeployedModel.objects.select_for_update().get(pk=model.pk)
        policies.check_can_scale(row)
        if (row.min_replicas, row.max_replicas) == (minimum, maximum):
            return False
        if (more := maximum - row.max_replicas) > 0:
            usd = spending.model_usd(row, spending.count_hours(endpoint, timezone.now()), more)
            spending.reserve(row.owner, row.pk, {uuid4(): usd})
        row.min_replicas, row.max_replicas = minimum, maximum
        row.replicas_asked_at = row.next_check_at = timezone.now()
        row.save(update_fields=["min_replicas", "max_replicas", "replicas_asked_at", "next_check_at", "updated_at"])
        record(row, EventLevel.INFO, _("You requested this number of replicas: %s.") % words(minimum, maximum))
        audit.record("endpoint.scale", endpoint, facts={"minimum": minimum, "maximum": maximum})
    model.refresh_from_db()
    return True


def scales_to_zero(model: DeployedModel) -> bool:
    return "idle_minutes" in model.serving_options


def words(minimum: int, maximum: int) -> str:
    return str(minimum) if minimum == maximum else f"{minimum}–{maximum}"


def keep(row: DeployedModel, model: RemoteDeployedModel) -> None:
    """What a look tells the row. Numbers that a person asked for are not overwritten before Vertex AI was told."""
    seen: dict[str, Any] = {"available_replicas": model.available_replicas}
    if model.min_replicas is not None and model.max_replicas is not None and not row.replicas_asked_at:
        seen |= {"min_replicas": model.min_replicas, "max_replicas": model.max_replicas}
    found = {name: value for name, value in seen.items() if getattr(row, name) != value}
    if found:
        DeployedModel.objects.filter(pk=row.pk).update(**found)
        for name, value in found.items():
            setattr(row, name, value)


def differs(row: DeployedModel, model: RemoteDeployedModel) -> bool:
    """Where Vertex AI chose the machine, it chose the replicas, too."""
    if model.min_replicas is None:
        return False
    return (model.min_replicas, model.max_replicas) != (row.min_replicas, row.max_replicas)


def change(claimed: Claim[DeployedModel], model: RemoteDeployedModel) -> Outcome:
    """Sends what is wanted, unless it is so already."""
    row = claimed.row
    if model.min_replicas is None:
        return settle_refused(claimed, _("The model doesn't run on dedicated machines."))
    if not differs(row, model):
        return settle_changed(claimed)
    try:
        operation = get_gateway().deployment.scale(row.resource_name, model.id, row.min_replicas, row.max_replicas)
    except NotFound:
        return Outcome(poll_seconds())
    except Refused as error:
        return settle_refused(claimed, str(error))
    return Outcome(NOW, {"operation_name": operation, "replicas_sent_at": row.replicas_asked_at, "notice": ""})


def settle(claimed: Claim[DeployedModel], error: RemoteError | None) -> Outcome:
    """The operation is over. Asked for other numbers meanwhile, they are sent next."""
    if claimed.row.replicas_sent_at != claimed.row.replicas_asked_at:
        return Outcome(NOW, {"operation_name": ""})
    return settle_refused(claimed, error.message) if error else settle_changed(claimed)


def settle_changed(claimed: Claim[DeployedModel]) -> Outcome:
    row = claimed.row
    sentence = _("Current number of replicas: %s.") % words(row.min_replicas, row.max_replicas)
    return _settle(row, (EventLevel.INFO, sentence))


def settle_refused(claimed: Claim[DeployedModel], reason: str) -> Outcome:
    """The next look puts the numbers back to those that Vertex AI has."""
    sentence = _("The number of replicas was not changed: %s") % reason
    return _settle(claimed.row, (EventLevel.WARNING, sentence), reason)


def _settle(row: DeployedModel, event: Event, reason: str = "") -> Outcome:
    changes = {"operation_name": "", "replicas_asked_at": None, "notice": ""}
    return Outcome(None, changes, [event], also=partial(_look_soon, row.endpoint_id), reason=reason)


def _look_soon(endpoint_id: UUID) -> None:
    """A look at the endpoint tells how many replicas there are."""
    Endpoint.objects.ready().filter(pk=endpoint_id).update(next_check_at=timezone.now())
