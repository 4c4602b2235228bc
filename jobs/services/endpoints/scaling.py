"""How many replicas serve an endpoint. The row says what is wanted; a step brings Vertex AI to it.

Naming the numbers again changes nothing more, so a change whose reply was lost is simply sent again.
"""

from typing import Any
from uuid import uuid4

from django.db import transaction
from django.utils import timezone

from jobs.errors import NotAllowedNow
from jobs.models import Endpoint, EventLevel
from jobs.models.endpoint import MOST_REPLICAS
from jobs.services import audit
from jobs.services.costs import spending
from jobs.services.remote.row_lease import NOW, Claim, Outcome, poll_seconds, record
from jobs.states import EndpointState
from jobs.text.deferred import gettext as _
from jobs.vertex import get_gateway
from jobs.vertex.errors import NotFound, Refused
from jobs.vertex.port import DeployedModel, RemoteError

SERVING = frozenset({EndpointState.DEPLOYING, EndpointState.READY})


def check(minimum: int, maximum: int) -> None:
    if not 1 <= minimum <= maximum <= MOST_REPLICAS:
        words = {"most": MOST_REPLICAS}
        raise NotAllowedNow(_("Choose 1 to %(most)d replicas, and not more at least than at most.") % words)


def ask(endpoint: Endpoint, *, minimum: int, maximum: int) -> bool:
    """The wish, on disk. False when it is what is wanted already, as after a double click."""
    check(minimum, maximum)
    with transaction.atomic():
        row = Endpoint.objects.select_for_update().get(pk=endpoint.pk)
        if row.state not in SERVING:
            raise NotAllowedNow(_("Nothing is deployed on this endpoint, so it has no replicas."))
        if (row.min_replicas, row.max_replicas) == (minimum, maximum):
            return False
        if (more := maximum - row.max_replicas) > 0:
            usd = spending.deployment_usd(row.machine_type, more, spending.counted_hours(row, timezone.now()))
            spending.reserve(row.owner, row.pk, {uuid4(): usd})
        row.min_replicas, row.max_replicas = minimum, maximum
        row.replicas_asked_at = row.next_check_at = timezone.now()
        row.save(update_fields=["min_replicas", "max_replicas", "replicas_asked_at", "next_check_at", "updated_at"])
        record(row, EventLevel.INFO, _("You asked for %s replicas.") % words(minimum, maximum))
        audit.record("endpoint.scale", row, facts={"minimum": minimum, "maximum": maximum})
    endpoint.refresh_from_db()
    return True


def words(minimum: int, maximum: int) -> str:
    return str(minimum) if minimum == maximum else f"{minimum}–{maximum}"


def seen(model: DeployedModel) -> dict[str, Any]:
    """What a look at the model tells the row, as long as nothing else is wanted."""
    known = {"available_replicas": model.available_replicas}
    if model.min_replicas is None or model.max_replicas is None:
        return known
    return {**known, "min_replicas": model.min_replicas, "max_replicas": model.max_replicas}


def differs(endpoint: Endpoint, model: DeployedModel) -> bool:
    """Where Vertex AI chose the machine, it chose the replicas, too."""
    if model.min_replicas is None:
        return False
    return (model.min_replicas, model.max_replicas) != (endpoint.min_replicas, endpoint.max_replicas)


def change(claimed: Claim[Endpoint], model: DeployedModel) -> Outcome:
    """Sends what is wanted, unless it is so already."""
    row = claimed.row
    if model.min_replicas is None:
        return refused(claimed, _("It does not run on machines of its own."))
    if not differs(row, model):
        return changed(claimed)
    try:
        operation = get_gateway().deployment.scale(row.resource_name, model.id, row.min_replicas, row.max_replicas)
    except NotFound:
        return Outcome(poll_seconds())
    except Refused as error:
        return refused(claimed, str(error))
    return Outcome(NOW, {"operation_name": operation, "replicas_sent_at": row.replicas_asked_at, "notice": ""})


def ended(claimed: Claim[Endpoint], error: RemoteError | None) -> Outcome:
    """The operation is over. Asked for other numbers meanwhile, they are sent next."""
    if claimed.row.replicas_sent_at != claimed.row.replicas_asked_at:
        return Outcome(NOW, {"operation_name": ""})
    return refused(claimed, error.message) if error else changed(claimed)


def changed(claimed: Claim[Endpoint]) -> Outcome:
    row = claimed.row
    sentence = _("It runs with %s replicas now.") % words(row.min_replicas, row.max_replicas)
    changes = {"operation_name": "", "replicas_asked_at": None, "notice": ""}
    return Outcome(NOW, changes, [(EventLevel.INFO, sentence)])


def refused(claimed: Claim[Endpoint], reason: str) -> Outcome:
    """The next look puts the numbers back to those that Vertex AI has."""
    sentence = _("The number of replicas was not changed: %s") % reason
    changes = {"operation_name": "", "replicas_asked_at": None}
    return Outcome(NOW, changes, [(EventLevel.WARNING, sentence)], reason=reason)
