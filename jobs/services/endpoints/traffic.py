"""Which share of an endpoint's requests each of its models gets. The row says what is wanted; a step tells Vertex AI.

Naming the shares again changes nothing more, so a change whose reply was lost is simply sent again.
"""

from collections.abc import Mapping
from typing import Any

from django.db import transaction
from django.utils import timezone

from jobs.models import DeployedModel, Endpoint, EventLevel
from jobs.services import audit
from jobs.services.remote.row_claim import NOW, Claim, Outcome, record
from jobs.text.deferred import gettext as _
from jobs.vertex import get_gateway
from jobs.vertex.errors import Refused
from jobs.vertex.values import RemoteEndpoint

from . import policies, traffic_split


def ask(endpoint: Endpoint, split: Mapping[str, int]) -> bool:
    """The wish, on disk. False when it is so, or wanted, already."""
    with transaction.atomic():
        row = Endpoint.objects.select_for_update(no_key=True).get(pk=endpoint.pk)
        policies.check_can_change_models(row)
        traffic_split.check(split, set(row.traffic))
        if (row.traffic_wanted if row.traffic_asked_at else row.traffic) == split:
            return False
        row.traffic_wanted = dict(split)
        row.traffic_asked_at = row.next_check_at = timezone.now()
        row.save(update_fields=["traffic_wanted", "traffic_asked_at", "next_check_at", "updated_at"])
        record(row, EventLevel.INFO, _("You asked for this traffic split: %s.") % words(row, split))
        audit.record("endpoint.traffic", row)
    endpoint.refresh_from_db()
    return True


def words(endpoint: Endpoint, split: Mapping[str, int]) -> str:
    known = names(endpoint)
    return ", ".join(f"{known.get(key, key)} {share}%" for key, share in split.items())


def names(endpoint: Endpoint) -> dict[str, str]:
    """What the models on it are called, by deployed model id; others than this console's are not known."""
    return dict(DeployedModel.objects.filter(endpoint=endpoint).values_list("deployed_model_id", "display_name"))


def answering_model(endpoint: Endpoint, deployed_model_id: str) -> str:
    """Which of several models answered, in words that outlive it; empty where there is but one. Of an answer that does
    not say which, the endpoint alone."""
    if len(endpoint.traffic) < 2:
        return ""
    name = names(endpoint).get(deployed_model_id, deployed_model_id)
    return f"{endpoint.display_name} · {name}"[:300] if name else endpoint.display_name


def read_split(remote: RemoteEndpoint) -> dict[str, int]:
    """With those that get nothing."""
    return {model.id: remote.traffic_split.get(model.id, 0) for model in remote.deployed_models}


def change(claimed: Claim[Endpoint], remote: RemoteEndpoint) -> Outcome:
    """Sends what is wanted, unless it is so already."""
    row, now = claimed.row, read_split(remote)
    if set(row.traffic_wanted) != set(now):
        return _settle_refused(row, now, _("The models on the endpoint changed in the meantime."))
    if row.traffic_wanted != now:
        try:
            get_gateway().deployment.share_traffic(row.resource_name, row.traffic_wanted)
        except Refused as error:
            return _settle_refused(row, now, str(error))
    changes: dict[str, Any] = {"traffic": row.traffic_wanted, "traffic_asked_at": None, "notice": ""}
    sentence = _("The traffic split is now: %s.") % words(row, row.traffic_wanted)
    return Outcome(NOW, changes, [(EventLevel.INFO, sentence)])


def _settle_refused(row: Endpoint, now: dict[str, int], reason: str) -> Outcome:
    sentence = _("The traffic split wasn't changed: %s") % reason
    return Outcome(NOW, {"traffic": now, "traffic_asked_at": None}, [(EventLevel.WARNING, sentence)])
