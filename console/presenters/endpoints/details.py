"""An endpoint with what its pages say about it beyond its row: what it costs and how much it is used."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from django.conf import settings
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext as _, gettext_lazy

from jobs.models import DeployedModel, Endpoint
from jobs.services.costs import machine_prices
from jobs.services.endpoints import usage
from jobs.services.endpoints.reports import reports
from jobs.services.endpoints.warnings import IDLE
from jobs.states import DEPLOYED_LIVE, EndpointState

from .served_models import models_of
from .serving_options import list_options

RUNNING = frozenset({EndpointState.DEPLOYING, EndpointState.READY, EndpointState.UNDEPLOYING})


@dataclass(frozen=True)
class Shown:
    """`hours`: requests in each of the last 24 hours. `models`: those deployed on it, that failed lately, too."""

    endpoint: Endpoint
    hours: list[int]
    now: datetime
    models: list[DeployedModel] = field(default_factory=list)

    @property
    def requests(self) -> int:
        return sum(self.hours)

    @property
    def replica_range(self) -> str:
        low, high = self.endpoint.model.min_replicas, self.endpoint.model.max_replicas
        return str(low) if low == high else f"{low}–{high}"

    @property
    def replicas(self) -> str:
        asked, now = self.replica_range, self.endpoint.model.available_replicas
        if self.endpoint.state != EndpointState.READY or now is None or str(now) == asked:
            return asked
        return f"{now} / {asked}"

    @property
    def options(self) -> list[tuple[str | Promise, str | Promise]]:
        return list_options(self.endpoint.model)

    @property
    def price(self) -> machine_prices.Price | None:
        return machine_prices.price(self.endpoint.model.machine_type)

    @property
    def live(self) -> list[DeployedModel]:
        return [model for model in self.models if model.state in DEPLOYED_LIVE]

    @property
    def others(self) -> list[DeployedModel]:
        return [model for model in self.live if model.pk != self.endpoint.main_model_id]

    @property
    def usd_per_hour(self) -> Decimal | None:
        """Of the replicas that always run, of all models; None when a price is not known."""
        return machine_prices.usd_per_hour(self.live)

    @property
    def is_running(self) -> bool:
        return self.endpoint.state in RUNNING

    @property
    def cost_words(self) -> str | Promise:
        if not self.is_running:
            return "–"
        if self.usd_per_hour is None:
            return _("Unknown")
        return money(self.usd_per_hour) if self.usd_per_hour else _("No cost")

    @property
    def cost_note(self) -> str:
        """Where the price comes from, for its title."""
        if self.price is None:
            return _("The price of this machine is unknown. See Google's price list.")
        if not self.price.usd_per_hour:
            return _("No charge: it runs on this computer")
        words = {"region": self.price.region, "date": self.price.as_of}
        return _("Estimate: list price in %(region)s as of %(date)s for the minimum number of replicas.") % words

    @property
    def cost_so_far(self) -> Decimal | None:
        """Of the models that are there; one that was undeployed while others stayed is not counted."""
        if self.endpoint.started_at is None:
            return None
        end = self.now if self.is_running else self.endpoint.ended_at or self.now
        return _sum(cost_until(model, end) for model in (self.endpoint.model, *self.others))

    @property
    def cost_so_far_words(self) -> str:
        """Nothing where the hour costs nothing, whenever it ends."""
        if self.endpoint.started_at is None or settings.VERTEX_API_ENDPOINT:
            return ""
        if self.cost_so_far is None:
            return _("Unknown: this machine has no known price")
        return money(self.cost_so_far) if self.cost_so_far or self.usd_per_hour else _("No cost")

    @property
    def idle_warning(self) -> str | Promise:
        """After a day without a request, as far as somebody counts those of others."""
        seen = max(filter(None, (self.endpoint.started_at, self.endpoint.last_request_at)), default=self.now)
        if self.endpoint.state != EndpointState.READY or self.now - seen < IDLE or self.usd_per_hour == 0:
            return ""
        return gettext_lazy("Idle, incurs costs") if self.usd_per_hour else gettext_lazy("Idle, might incur costs")


def describe_endpoints(endpoints: Iterable[Endpoint]) -> list[Shown]:
    now, rows = timezone.now(), list(endpoints)
    hours, models = _count_by_hour(rows, now), models_of(rows)
    return [Shown(row, hours[row.pk], now, [model for model in models if model.endpoint_id == row.pk]) for row in rows]


def _count_by_hour(rows: list[Endpoint], now: datetime) -> dict[UUID, list[int]]:
    """Those of everybody, where they are told and no fewer than what this console asked."""
    own, everybody = usage.by_hour(rows, now), reports.by_hour(rows, now)
    return {pk: max(hours, everybody.get(pk, hours), key=sum) for pk, hours in own.items()}


def cost_until(model: DeployedModel, end: datetime) -> Decimal | None:
    hourly = machine_prices.usd_per_hour([model])
    if hourly is None or model.started_at is None:
        return hourly and Decimal(0)
    return hourly * Decimal(max((end - model.started_at).total_seconds(), 0)) / 3600


def _sum(amounts: Iterable[Decimal | None]) -> Decimal | None:
    found = list(amounts)
    return None if None in found else sum((amount for amount in found if amount), Decimal(0))


def money(amount: Decimal) -> str:
    return f"${amount:,.2f}" if amount >= Decimal("0.01") or not amount else "< $0.01"
