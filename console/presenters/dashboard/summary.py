"""What the dashboard counts and sums up."""

from collections.abc import Iterable
from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext as _

from console.presenters.components.price_words import money, spent_words
from console.presenters.endpoints.details import RUNNING, Shown, describe_endpoints, describe_with
from console.presenters.health.setup import steps_left
from console.presenters.tuning.counts import live_numbers
from console.presenters.tuning.queue import queue_for
from jobs.models import Endpoint, StatusGroup, TuningJob
from jobs.services.costs import ledger
from jobs.services.costs.ledger import Spent
from jobs.services.inventory import idle

RECENT = 5
RECENT_COSTS = timedelta(days=30)
IDLE_SHOWN = 5


def counters(user: User) -> dict[str, Any]:
    numbers = live_numbers(user)
    running = list(Endpoint.objects.visible_to(user).with_model().filter(state__in=RUNNING))
    return {
        "running_count": numbers.get(StatusGroup.RUNNING, 0),
        "queued_count": numbers.get(StatusGroup.QUEUED, 0),
        "ready_count": sum(endpoint.state == "READY" for endpoint in running),
        # Without how much they are used, which would take a query more.
        "hourly_cost": hourly_cost(describe_with(running, {})),
        "spent": sum_recent_costs(user),
    }


def sum_recent_costs(user: User) -> str | Promise:
    """In the last thirty days, by the ledger; nothing where everything is free."""
    now = timezone.now()
    spent = ledger.spent_between(now - RECENT_COSTS, now, user)
    return "" if spent == Spent() and settings.VERTEX_API_ENDPOINT else spent_words(spent)


def hourly_cost(running: Iterable[Shown]) -> str | Promise:
    """Of all that runs. A price that is not known is said to be so, and not left out of the sum in silence."""
    prices = [one.usd_per_hour for one in running]
    known = sum((price for price in prices if price is not None), Decimal(0))
    if None not in prices:
        return money(known) if known else _("No cost")
    return _("%(known)s + unknown") % {"known": money(known)} if known else _("Unknown")


def recent_jobs(user: User) -> dict[str, Any]:
    return {"jobs": list(TuningJob.objects.visible_to(user).listed().lines()[:RECENT]), "queue": queue_for(user)}


def recent_endpoints(user: User) -> dict[str, Any]:
    return {"endpoints": describe_endpoints(Endpoint.objects.visible_to(user).not_deleted().with_model()[:RECENT])}


def idle_models(user: User) -> dict[str, Any]:
    """The dearest of those that cost and that nobody uses."""
    now = timezone.now()
    found = idle.list_idle(user, now)
    shown = [(one, one.days(now), _price(one.usd_per_hour)) for one in found[:IDLE_SHOWN]]
    return {"idle": shown, "idle_more": max(len(found) - IDLE_SHOWN, 0)}


def _price(usd: Decimal | None) -> str | Promise:
    return _("unknown price") if usd is None else _("%(price)s an hour") % {"price": money(usd)}


def setup(user: User) -> dict[str, Any]:
    return {"setup": steps_left(user)}
