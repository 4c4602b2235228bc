"""Entries of the ledger, as a deployed model leaves them."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.utils import timezone

from jobs.models import DeployedModel, LedgerEntry, LedgerKind


def ledger_entry(model: DeployedModel, *, hours: float = 1, **values: Any) -> LedgerEntry:
    """A period of one replica of g2-standard-12 that has ended, at the list price, unless said otherwise."""
    start = values.get("started_at") or timezone.now() - timedelta(hours=hours + 1)
    end = values.get("ended_at", start + timedelta(hours=hours))
    defaults = {
        "kind": LedgerKind.DEPLOYMENT,
        "owner": model.owner,
        "subject_id": model.pk,
        "group_id": model.endpoint_id,
        "name": model.endpoint.display_name,
        "model_name": model.display_name,
        "machine_type": "g2-standard-12",
        "region": model.location,
        "replicas": 1,
        "usd_per_hour": Decimal("1.1507"),
        "started_at": start,
        "ended_at": end,
    }
    entry = LedgerEntry(**defaults | values)
    entry.usd = entry.usd_between(start, end) if end else None
    entry.save()
    return entry
