"""What was spent lately, and where the prices come from, for the page of spending."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext as _

from jobs.models import LedgerKind
from jobs.services.costs import ledger, machine_prices, price_sync
from jobs.services.costs.ledger import Cost, Spent

from .price_words import spent_words

DAYS = 30
MAX_ROWS = 50


@dataclass(frozen=True)
class CostRow:
    """`person`: empty for an account that was deleted."""

    name: str
    kind: str
    person: str
    words: str | Promise
    is_running: bool


def costs_context(user: User, *, of_everybody: bool) -> dict[str, Any]:
    now = timezone.now()
    found = ledger.list_costs(now - timedelta(days=DAYS), now, None if of_everybody else user)
    shown = found[:MAX_ROWS]
    names = dict(User.objects.filter(pk__in={one.owner_id for one in shown}).values_list("pk", "username"))
    total = sum((one.spent for one in found), Spent())
    return {
        "costs": [_row(one, names) for one in shown],
        "costs_total": spent_words(total),
        "costs_left_out": len(found) - len(shown),
        "costs_days": DAYS,
    }


def _row(cost: Cost, names: dict[int, str]) -> CostRow:
    person = names.get(cost.owner_id, "") if cost.owner_id else ""
    return CostRow(cost.name, str(LedgerKind(cost.kind).label), person, spent_words(cost.spent), cost.is_running)


def prices_context() -> dict[str, Any]:
    """In sentences; none for the local Vertex AI, which costs nothing."""
    if settings.VERTEX_API_ENDPOINT:
        return {"price_sentences": [], "price_warnings": []}
    sync, as_of = price_sync.find_sync(), machine_prices.table_date()
    read_at = sync.succeeded_at.date() if sync and sync.succeeded_at else None
    newest = max(read_at, as_of) if read_at else as_of
    if read_at == newest:
        told = _("The prices of machines come from Google's price catalogue, read on %(date)s.")
    else:
        told = _("The prices of machines come from a table of list prices as of %(date)s.")
    warnings = []
    if timezone.now().date() - newest > machine_prices.LONGEST_FRESH:
        warnings.append(_("These prices are more than 90 days old. Check Google's price list."))
    if sync and sync.failed_at:
        warnings.append(_("Google's price catalogue couldn't be read: %(error)s") % {"error": sync.error_message})
    return {"price_sentences": [told % {"date": newest.isoformat()}], "price_warnings": warnings}
